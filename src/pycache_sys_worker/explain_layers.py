"""Ask the layers of a source: the hook's own functions, or what stock Python has in their place.

The first half of the program ``explain.py``, which has the protocol; both are executed as one text.
"""

import os
import sys
from _frozen_importlib_external import (  # type: ignore[attr-defined]  # in no stub
    MAGIC_NUMBER,
    SourceFileLoader,
    _validate_hash_pyc,
    _validate_timestamp_pyc,
    cache_from_source,
)

MARK = "pycache_sys"
UNKNOWN = "unknown"
HOOK = "_pycache_sys.hook"

IMAGE, SYSTEM, BESIDE, OWN = "image tree", "system tree", "beside the source", "own cache"
PREFIX = "prefix"
COMPILED = "compiled"
KEYS = {"image-tree": IMAGE, "system-tree": SYSTEM}

ABSENT, NO_FILE, HANDS = "absent", "not a regular file", "in wrong hands"
DAMAGED, OTHER_VERSION, STALE = "damaged", "of another version", "stale"
OFF, NO_PLACE, NO_FOLDER, NO_DIRECTORY = "off", "no place", "no folder", "no directory"
BY_PREFIX, NO_CACHE, NO_SERVICE = "explicit prefix", "no cache", "no CACHE_DIRECTORY"
SERVED, FAILS, OTHER_LOADER = "served", "fails", "other loader"
NO_WRITES, SCRIPT, DENIED = "no writes", "maintainer script", "denied"

_TYPE, _REGULAR, _DIRECTORY, _LINK = 0o170000, 0o100000, 0o040000, 0o120000


class Hook:
    """The hook of this process: its ``Layers``, the names of its loader; or why there is none."""

    def __init__(self):
        self.layers = self.space = self.values = None
        self.why = self._find()

    def _find(self):
        try:  # noqa: SIM105 - before the first module from a file, only the start-up is there
            SourceFileLoader("nothing", "/nonexistent/nothing.py").get_code("nothing")
        except Exception:  # noqa: S110 - there is no such file; contextlib is not loaded
            pass
        method = SourceFileLoader.get_code
        layers = getattr(method, MARK, None)
        if layers is None:
            hook = sys.modules.get(HOOK)
            if hook is None:
                return "gone" if "_pycache_sys.startup" in sys.modules else "not delivered"
            return "switch" if hook.environment().get(hook.SWITCH) == "off" else "policy"
        try:
            self.values = closure(layers._find_own)["values"]
            self.space = method.__globals__
            self.layers = layers
        except (AttributeError, KeyError):
            return UNKNOWN
        return ""


def explicit_prefix(hook):
    """Return the prefix that somebody asked for; "" where the hook has set it, or nobody."""
    prefix = sys.pycache_prefix
    if prefix is None or (hook.layers is not None and prefix == hook.layers.exported):
        return ""
    return text(prefix)


def closure(function):
    """Return what a function has kept of where it was made."""
    cells = function.__closure__ or ()
    names = function.__code__.co_freevars
    return {name: cells[at].cell_contents for at, name in enumerate(names)}


# sources


class CompilesError(Exception):
    """What a loader that does something to the code was about to do."""


def explain_source(loader, name, answer, hook):
    """Let a loader load a source's code, and say of each layer what is wrong with it."""
    is_plain = type(loader) is SourceFileLoader
    answer["kind"] = "source" if is_plain else "subclass"
    answer["path"] = absolute(loader.path)
    status = posix_stat(loader.path)
    answer["source"] = fields(status)
    if type(loader).get_code is not SourceFileLoader.get_code or hook.why == UNKNOWN:
        return  # what it does is its own affair
    Loading(loader, is_plain, hook).load(name, answer)
    has_hook = is_plain and hook.layers is not None and status is not None
    prefix = hook.layers.prefix() if has_hook and sys.pycache_prefix is not None else ""
    if has_hook and prefix != "exclusive":
        Asked(loader, status, hook, answer, prefix).ask()
    else:
        ask_stock(loader, status, answer)
    if sys.flags.dont_write_bytecode and not answer["write"]["why"]:
        forbid(answer["write"])


class Loading:
    """One call of ``get_code``, watched: by the hook's own trace, and by what is read."""

    def __init__(self, loader, is_plain, hook):
        self.loader, self.is_plain, self.hook = loader, is_plain, hook
        self.get_data, self.source_to_code = loader.get_data, loader.source_to_code
        self.traced = ("", "")
        self.reads = []
        self.compiles = False

    def load(self, name, answer):
        """Load the code, and say what served it, by which file, and what went wrong."""
        loader, layers = self.loader, self.hook.layers
        loader.get_data, loader.source_to_code = self.read, self.compile
        if layers is not None:
            kept, layers.trace = layers.trace, self.trace
        try:
            loader.get_code(name)
        except CompilesError:
            pass
        except Exception as error:
            answer["failure"] = words(error)
        finally:
            del loader.get_data, loader.source_to_code
            if layers is not None:
                layers.trace = kept
        answer["served"], answer["file"] = self.served()

    def read(self, path):
        """Stand for the loader's ``get_data``."""
        content = self.get_data(path)
        self.reads.append(path)
        return content

    def compile(self, *arguments, **options):
        """Stand for its ``source_to_code``: what another class makes of it need not be known."""
        self.compiles = True
        if not self.is_plain:
            raise CompilesError
        return self.source_to_code(*arguments, **options)

    def trace(self, _loader, code, layer, path, _missed):
        """Stand for the hook's ``trace``."""
        self.traced = layer, path
        return code

    def served(self):
        """Say which layer served the code, with its file."""
        layer, path = self.traced
        if path:
            if layer == self.hook.space["TREE"]:
                layer = tree_names(self.hook).get(tree_of(path, self.hook), SYSTEM)
            return layer, absolute(path)
        cached = [one for one in self.reads if one != self.loader.path]
        if self.compiles or not cached:
            return COMPILED, ""
        return PREFIX if sys.pycache_prefix is not None else BESIDE, absolute(cached[0])


def tree_names(hook):
    """Name this interpreter's part of each tree that the policy has: image tree, system tree."""
    folder = hook.space["layout"].running_version_directory()
    return {
        str(hook.values[key]) + "/" + folder: name for key, name in KEYS.items() if hook.values[key]
    }


def tree_of(path, hook):
    """Say in which tree a file is."""
    return next((tree for tree in hook.layers.trees if path.startswith(tree + "/")), "")


class Asked:
    """One source, and what the hook's own functions say of each of its layers."""

    def __init__(self, loader, status, hook, answer, prefix):
        self.loader, self.status, self.hook, self.prefix = loader, status, hook, prefix
        self.answer, self.space, self.layers = answer, hook.space, hook.layers
        directory, slash, name = loader.path.rpartition("/")
        self.directory = directory
        self.cached = name[:-3] + self.layers.end
        self.found, self.place = self.layers.of(directory or slash, name)

    def ask(self):
        """Ask each layer, in their order; say what would be written."""
        for key, name in KEYS.items():
            self.ask_tree(name, self.hook.values[key])
        if self.prefix:
            ask_stock(self.loader, self.status, self.answer)
            for name in (BESIDE, OWN):
                self.add(name, "", BY_PREFIX)
            return
        self.ask_beside()
        self.ask_own()

    def add(self, name, path, why, culprit=None):
        """Add a layer that does not serve, or that does where ``why`` is empty."""
        self.answer["layers"].append(layer_facts(name, path, why, culprit))

    def read(self, layer, path):
        """Say why a layer does not serve this source; "" where it does.

        The layer is named as the hook's constant is, which it knows by identity.
        """
        return self.space["read"](self.loader, self.space[layer], path, self.status)[1]

    def ask_tree(self, name, tree):
        """Ask one of the trees."""
        if not tree:
            self.add(name, "", OFF)
            return
        top = str(tree) + "/" + self.space["layout"].running_version_directory()
        path = "" if self.place is None else top + self.place + "/" + self.cached
        below = path.rpartition("/")[0]
        if top not in self.layers.trees:
            why = NO_FOLDER if posix_stat(top) is None else HANDS
            self.add(name, top, why, self.link(tree, top) or culprit(top, self.is_tree_step))
        elif self.place is None:
            self.add(name, "", NO_PLACE)
        elif (self.space["TREE"], below) not in self.found:
            self.add(name, path, NO_DIRECTORY, closed(below))
        else:
            why = self.read("TREE", path)
            self.add(name, path, why, closed(path) if why == ABSENT else None)

    def link(self, tree, top):
        """Return the link in the place of a tree or its folder, where the hook follows none."""
        if tree in map(sys.modules[HOOK].BUILT_IN.get, KEYS):
            for step in (tree, top):
                status = posix_stat(step, follow=False)
                if status is not None and status.st_mode & _TYPE == _LINK:
                    return [step, *fields(status)]
        return None

    def is_tree_step(self, status):
        """Judge a directory on the way to a tree by the hook's own rule."""
        hook = sys.modules[HOOK]
        if status.st_mode & _TYPE == _LINK:
            return hook.is_root(status.st_uid)
        return hook.is_roots(status)

    def ask_beside(self):
        """Ask ``__pycache__``."""
        directory = self.directory
        below = directory + "/__pycache__" if directory else "__pycache__"
        path = below + "/" + self.cached
        if not self.layers.beside:
            self.add(BESIDE, "", OFF)
        elif (BESIDE, below) in self.found:
            self.add(BESIDE, path, self.read("BESIDE", path))
        elif posix_stat(below) is None or self.loader.path[-3:] != ".py":
            self.add(BESIDE, path, NO_DIRECTORY)
        else:
            self.add(BESIDE, below, HANDS, [below, *fields(os.lstat(below))])
            self.answer["layers"][-1]["above"] = fields(os.stat(directory or "."))

    def ask_own(self):
        """Ask the user's own cache; say what would be written there."""
        place, own = self.place, self.layers.own
        path = None if place is None or own is None else own.path(place, self.cached)
        if path is None:
            why, top, step = self.no_own_cache(own)
            self.add(OWN, top, why, step)
            self.answer["write"] = writing(top, why, step)
        else:
            self.add(OWN, path, self.read("OWN", path) if own.is_there else ABSENT)
            why = "" if own._may_write else SCRIPT
            self.answer["write"] = written(self.answer, path, why)
            by_time = self.space["stamps_tell"](self.status, os.geteuid())
            self.answer["write"]["by"] = "time" if by_time else "hash"
        if self.answer["served"] != COMPILED:
            self.answer["write"]["why"] = SERVED
        elif self.answer["failure"]:
            self.answer["write"]["why"] = FAILS

    def no_own_cache(self, own):
        """Say why there is no own cache for this source: (word, its top, whoever spoils it)."""
        if self.place is None:
            return NO_PLACE, "", None
        if own is None:
            return "gone", "", None
        top = own._locate()
        if top is None:
            caches = sys.modules[HOOK.replace("hook", "caches")]
            key = caches.cache_key(self.hook.values, os.geteuid())
            if not self.hook.values[key]:
                return OFF, "", None
            is_given = "{cache_directory}" in str(self.hook.values[key])
            return NO_SERVICE if is_given else NO_CACHE, "", None
        module = sys.modules[HOOK.replace("hook", "own")]

        def is_right(status):
            is_link = status.st_mode & _TYPE == _LINK
            is_whose = status.st_uid == os.geteuid() or module.is_root(status.st_uid)
            return is_whose and (is_link or module._keeps_others_out(status))

        return HANDS, top, culprit(top, is_right)


def culprit(path, is_right):
    """Find the first directory on the way that is not right, as [path, mode, uid, ...]."""
    for way in (path, os.path.realpath(path)):
        steps = way.split("/")
        for end in range(2, len(steps) + 1):
            step = "/".join(steps[:end])
            try:
                status = os.lstat(step)
            except OSError:
                break
            if not is_right(status):
                return [step, *fields(status)]
    status = posix_stat(path)
    return None if status is None else [path, *fields(status)]


# without the hook


def ask_stock(loader, status, answer):
    """Say what stock Python does with a source: one place is read, and written."""
    name = PREFIX if sys.pycache_prefix is not None else BESIDE
    layer = stock_layer(loader, status, name)
    answer["layers"].append(layer)
    answer["write"] = stock_write(answer, layer["path"])


def stock_layer(loader, status, name):
    """Ask importlib's own functions about the one place that it reads."""
    try:
        path = cache_from_source(loader.path)
    except NotImplementedError:
        return layer_facts(name, "", NO_PLACE)
    why = ""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        why = ABSENT
    else:
        flags = int.from_bytes(data[4:8], "little")
        try:
            if data[:4] != MAGIC_NUMBER:
                why = OTHER_VERSION if len(data) >= 4 else DAMAGED
            elif len(data) < 16 or flags & ~3:
                why = DAMAGED
            elif flags & 1:
                check_hash(loader, data, flags)
            else:
                _validate_timestamp_pyc(data, int(status.st_mtime), status.st_size, "", {})
            if not why:
                import marshal  # noqa: PLC0415 - built in

                marshal.loads(memoryview(data)[16:])  # noqa: S302 - as importlib
        except ImportError:
            why = STALE
        except Exception:
            why = DAMAGED
    return layer_facts(name, absolute(path), why)


def check_hash(loader, data, flags):
    """Raise ImportError where a hash is asked for and does not fit."""
    import _imp  # noqa: PLC0415 - built in

    if _imp.check_hash_based_pycs != "never" and (
        flags & 2 or _imp.check_hash_based_pycs == "always"
    ):
        raw = int.from_bytes(MAGIC_NUMBER, "little")
        found = _imp.source_hash(raw, loader.get_data(loader.path))
        _validate_hash_pyc(data, found, "", {})


def stock_write(answer, path):
    """Say what stock Python would write."""
    why = "" if path else NO_PLACE
    if answer["failure"]:
        why = FAILS
    elif answer["served"] != COMPILED:
        why = SERVED if answer["served"] else OTHER_LOADER
    return written(answer, path, why)


# what is said


def written(answer, path, why):
    """Say where bytecode would be written, or why not: also where a directory does not allow it."""
    step = None
    if not why and answer["served"] == COMPILED:
        step = closed(path, os.W_OK)
    return writing(path, DENIED if step else why, step)


def closed(path, wanted=0):
    """Return the last directory on the way to a path that is there, as [path, mode, uid, ...].

    None where this user can search it, and do with it what is ``wanted`` besides.
    """
    near = path.rpartition("/")[0]
    while near and posix_stat(near) is None:
        near = near.rpartition("/")[0]
    near = near or "/"
    return None if os.access(near, os.X_OK | wanted) else [near, *fields(os.stat(near))]


def writing(path, why, step=None):
    """Say where bytecode goes, or why none does; ``step`` is the directory that is in the way."""
    return {"path": path, "why": why, "culprit": step, "by": ""}


def forbid(write):
    """Say that the environment forbids what would be written: the option -B is this program's."""
    if not sys.flags.ignore_environment and os.environ.get("PYTHONDONTWRITEBYTECODE"):
        write["why"] = NO_WRITES


def layer_facts(name, path, why, step=None):
    """Collect what can be seen of a layer's file."""
    facts = {
        "layer": name,
        "path": absolute(path) if path else "",
        "why": why,
        "file": None,
        "header": "",
        "culprit": step,
        "above": None,
    }
    status = posix_stat(path) if path else None
    if status is not None:
        facts["file"] = fields(status)
        if status.st_mode & _TYPE == _REGULAR:
            try:
                with open(path, "rb") as file:
                    facts["header"] = file.read(16).hex()
            except OSError:
                pass
    return facts


def fields(status):
    """List what counts of a status: mode, uid, gid, size, times of content and inode."""
    if status is None:
        return None
    return [
        status.st_mode,
        status.st_uid,
        status.st_gid,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    ]


def posix_stat(path, follow=True):  # noqa: FBT002 - as in os.stat
    """Return a file's status, None for none."""
    try:
        return os.stat(path, follow_symlinks=follow)
    except (OSError, ValueError):
        return None


def absolute(path):
    """Make a path absolute, and leave it as it is otherwise."""
    return path if path[:1] == "/" else os.getcwd().rstrip("/") + "/" + path


def text(value):
    """Return what may be a path as text."""
    return value if isinstance(value, str) else ascii(value)


def words(error):
    """Say in a line what was raised."""
    return " ".join((type(error).__name__ + ": " + str(error)).split())
