"""The table of defects: how each comes about, what each verb says of it, and what mends it.

A machine is healthy before. ``prepare`` are commands of a shell, as an administrator, a package, a
killed run or an attacker would have caused the defect. What is not said of a verb is that it has
nothing to say: every expectation is the whole of what the verb names.
"""

from typing import NamedTuple

from distro.debian import DIST_PACKAGES
from distro.machines import HOME
from distro.product import ACCOUNT, TREE

SECOND = "/srv/second"
"""Where the archives of a second interpreter are, which is not installed."""
LATER = "/srv/later_1_all.deb"
"""The archive of a package with one module, which is not installed."""
PROJECT = f"{HOME}/project"
"""A user's own checkout."""
FOLDER = f"{TREE}/3.13"
PACKAGE = f"{DIST_PACKAGES}/idna"
MODULE = "idna.core"
"""The module that ``explain`` is asked for, unless a row names another one."""
SOURCE = f"{PACKAGE}/core.py"
LIBRARY = "/usr/lib/python3.13"
DROP_IN = "/etc/pycacheprefix.conf.d/50-local.conf"
MODULES = (
    "__init__",
    "codec",
    "compat",
    "core",
    "idnadata",
    "intranges",
    "package_data",
    "uts46data",
)
"""All of the package's."""


def entry(source: str) -> str:
    """Say where the tree has the bytecode of a source."""
    return f"{FOLDER}{source.removesuffix('.py')}.cpython-313.pyc"


ENTRY = entry(SOURCE)
OTHER_ENTRY = entry(f"{PACKAGE}/codec.py")
AS_BEFORE = f"touch -r {SOURCE} {ENTRY}"
"""Gives the entry its time again: what is left to tell is what is in it."""


class Wrong(NamedTuple):
    """A defect as ``verify`` names it."""

    kind: str
    path: str = ENTRY
    marks: tuple[str, ...] = ()


class Loaded(NamedTuple):
    """What ``explain`` says of the module: the layer that serves it, and each layer's why.

    A layer that is not asked at all is ``-``. ``words`` are those of the system tree's layer, with
    ``…`` for how long something took; ``written`` is where an import would write, or why not.
    """

    layer: str = "system tree"
    image: str = "no folder"
    system: str = "serves"
    words: str = "serves it"
    culprit: str = ""
    beside: str = "no directory"
    own: str = "absent"
    written: str = "served"
    hook: bool = True
    kind: str = "source"
    failure: str = ""


class Found(NamedTuple):
    """A finding of ``doctor``: its check, whether it is a problem, and the commands that mend it.

    No command: a sentence says what to do. ``places`` are what it names.
    """

    check: str
    level: str = "problem"
    mend: tuple[str, ...] = ()
    places: tuple[str, ...] = ()


class Flaw(NamedTuple):
    """A row of the table.

    ``status`` is the exit status of ``verify`` where it is not 0 for nothing and 1 for something;
    ``left`` is what it leaves alone. ``mend`` is what the manual says for a defect; where it is
    empty, the commands that ``doctor`` prints are run. ``after`` is what ``explain`` says then.
    """

    name: str
    prepare: str
    verify: tuple[Wrong, ...] = ()
    explain: Loaded = Loaded()
    doctor: tuple[Found, ...] = ()
    mend: str = ""
    options: tuple[str, ...] = ()
    status: int | None = None
    left: tuple[str, ...] = ()
    module: str = MODULE
    after: Loaded = Loaded()


def compiled(system: str, words: str, culprit: str = "") -> Loaded:
    """Say that the module is compiled, and why the system tree does not serve it."""
    return Loaded("compiled", "no folder", system, words, culprit, written="own cache")


def one(command: str) -> tuple[str, ...]:
    """Return a command alone."""
    return (command,)


def strays(source_directory: str = PACKAGE) -> tuple[Wrong, ...]:
    """Name all bytecode of the package as stray."""
    return tuple(Wrong("stray", entry(f"{source_directory}/{name}.py")) for name in MODULES)


REBUILD = "pycache-sys rebuild"
UNBUILT = Found("tree", mend=(REBUILD,), places=(SOURCE,))
NO_TREE = UNBUILT._replace(places=())
STRAY = UNBUILT._replace(places=(ENTRY,))
PACKAGES_SOURCES = tuple(f"{PACKAGE}/{name}.py" for name in MODULES)
PACKAGES_ENTRIES = tuple(map(entry, PACKAGES_SOURCES))
CHANGED = ("header", "mtime", "ctime")
NO_HOOK = Loaded(
    "compiled",
    image="-",
    system="-",
    words="",
    beside="absent",
    own="-",
    written="denied",
    hook=False,
)

SOURCES = (
    Flaw(
        "source-edited",
        f"echo 'MORE = 1' >>{SOURCE}",
        (Wrong("stale", marks=CHANGED),),
        compiled("stale", "stale: the source is … newer"),
        (UNBUILT,),
    ),
    Flaw(
        "source-touched",
        f"touch {SOURCE}",
        (Wrong("stale", marks=CHANGED),),
        compiled("stale", "stale: the source is … newer"),
        (UNBUILT,),
    ),
    Flaw(
        "source-of-an-older-time",
        f"touch -d 2001-01-01 {SOURCE}",
        (Wrong("stale", marks=CHANGED),),
        compiled("stale", "stale: the source is … older"),
        (UNBUILT,),
    ),
    Flaw(
        "source-replaced-by-one-of-the-same-size-and-time",
        f"cp -a {SOURCE} /srv/new; sed -i 's/Label too long/Label too lang/' /srv/new; "
        f"touch -r {SOURCE} /srv/new; mv /srv/new {SOURCE}",
        (Wrong("stale", marks=("ctime",)),),
        compiled("stale", "stale: the source was changed … after it"),
        (UNBUILT,),
    ),
    Flaw(
        "source-given-the-owner-it-has",
        f"chown root:root {SOURCE}",
        (Wrong("stale", marks=("ctime",)),),
        compiled("stale", "stale: the source was changed … after it"),
        (UNBUILT,),
    ),
    Flaw(
        "source-removed",
        f"rm {SOURCE}",
        (Wrong("stray"),),
        Loaded(
            layer="",
            image="-",
            system="-",
            words="",
            beside="-",
            own="-",
            written="-",
            kind="missing",
            failure="there is no module idna.core",
        ),
        (STRAY,),
        mend="dpkg --install /srv/archives/python3-idna_3.10*.deb",
    ),
    Flaw(
        "source-private",
        f"chmod 0600 {SOURCE}",
        (Wrong("stray"),),
        compiled("stale", "stale: the source was changed … after it")._replace(
            written="fails",
            failure=f"PermissionError: [Errno 13] Permission denied: '{SOURCE}'",
        ),
        (STRAY,),
        mend=f"chmod 0644 {SOURCE}; {REBUILD}",
    ),
    Flaw(
        "source-of-a-user",
        f"chown alice {SOURCE}",
        (Wrong("stray"),),
        compiled("stale", "stale: the source was changed … after it"),
        (STRAY,),
        after=compiled("absent", "absent"),
    ),
    Flaw(
        "source-directory-open-to-all",
        f"chmod 0777 {PACKAGE}",
        strays(),
        Loaded(),
        (UNBUILT._replace(places=PACKAGES_ENTRIES),),
        after=compiled("no directory", "absent: it has nothing of this directory"),
    ),
    Flaw(
        "sources-without-times",
        f"find {PACKAGE} -name '*.py' -exec touch -d @1 {{}} +; {REBUILD}",
        doctor=(Found("flattened", "advice", places=PACKAGES_SOURCES),),
        mend="dpkg --install /srv/archives/python3-idna_3.10*.deb",
    ),
)

ENTRIES = (
    Flaw(
        "entry-removed",
        f"rm {ENTRY}",
        (Wrong("missing"),),
        compiled("absent", "absent"),
        (UNBUILT,),
    ),
    Flaw(
        "entry-empty",
        f": >{ENTRY}",
        (Wrong("corrupt"),),
        compiled("damaged", "damaged: the file is empty"),
        (UNBUILT,),
    ),
    Flaw(
        "entry-of-10-bytes",
        f"truncate -s 10 {ENTRY}; {AS_BEFORE}",
        (Wrong("corrupt"),),
        compiled("damaged", "damaged: the file ends after 10 bytes"),
        (UNBUILT,),
    ),
    Flaw(
        "entry-of-half-its-size",
        f"truncate -s 8000 {ENTRY}; {AS_BEFORE}",
        (Wrong("corrupt"),),
        compiled("damaged", "damaged: what follows the header is no code, or not all of it"),
        mend=f"rm {ENTRY}; {REBUILD}",
    ),
    Flaw(
        "entry-with-a-bad-byte",
        f"printf 0 | dd of={ENTRY} bs=1 seek=16 conv=notrunc; {AS_BEFORE}",
        (Wrong("corrupt"),),
        compiled("damaged", "damaged: what follows the header is no code, or not all of it"),
        mend=f"rm {ENTRY}; {REBUILD}",
    ),
    Flaw(
        "entry-with-another-constant",
        f"LC_ALL=C sed -i 's/Label too long/Label too lang/' {ENTRY}; {AS_BEFORE}",
        mend=f"rm {ENTRY}; {REBUILD}",
    ),
    Flaw(
        "entry-with-another-constant-looked-at-deeply",
        f"LC_ALL=C sed -i 's/Label too long/Label too lang/' {ENTRY}; {AS_BEFORE}",
        (Wrong("differs"),),
        mend=f"rm {ENTRY}; {REBUILD}",
        options=("--deep",),
    ),
    Flaw(
        "source-changed-with-the-clock-set-back",
        f"cp -a {SOURCE} /srv/new; sed -i 's/Label too long/Label too lang/' /srv/new; "
        f"touch -r {SOURCE} /srv/new; mv /srv/new {SOURCE}; sleep 0.02; chmod 0644 {ENTRY}",
        (Wrong("differs"),),
        mend=f"rm {ENTRY}; {REBUILD}",
        options=("--deep",),
    ),
    Flaw(
        "entry-with-another-modules-body",
        f"(head -c 16 {ENTRY}; tail -c +17 {OTHER_ENTRY}) >/srv/mixed; "
        f"cat /srv/mixed >{ENTRY}; {AS_BEFORE}",
        (Wrong("corrupt"),),
        mend=f"rm {ENTRY}; {REBUILD}",
    ),
    Flaw(
        "entry-exchanged-for-another",
        f"cp -a {OTHER_ENTRY} {ENTRY}",
        (Wrong("stale", marks=("header",)),),
        compiled("stale", "stale: the source has 14344 bytes, the one compiled had 3422"),
        (UNBUILT,),
    ),
    Flaw(
        "entry-of-another-python",
        f"printf '\\247' | dd of={ENTRY} bs=1 conv=notrunc; {AS_BEFORE}",
        (Wrong("stale", marks=("magic",)),),
        compiled(
            "of another version", "of another version: magic number 3495, this Python has 3571"
        ),
        (UNBUILT,),
    ),
    Flaw(
        "entry-of-another-time",
        f"touch -d 2001-01-01 {ENTRY}",
        (Wrong("stale", marks=("mtime",)),),
        doctor=(UNBUILT,),
    ),
    Flaw(
        "entry-unlike-what-the-policy-wants",
        f"echo 'invalidation = checked-hash' >{DROP_IN}; {REBUILD} {SOURCE}; rm {DROP_IN}",
        (Wrong("stale", marks=("invalidation",)),),
        doctor=(UNBUILT,),
    ),
    Flaw(
        "entry-of-a-user",
        f"chown alice {ENTRY}",
        (Wrong("owner"),),
        doctor=(UNBUILT,),
    ),
    Flaw(
        "entry-open-to-a-group",
        f"chgrp users {ENTRY}; chmod 0664 {ENTRY}",
        (Wrong("mode"),),
        doctor=(UNBUILT,),
    ),
    Flaw(
        "entry-private",
        f"chmod 0600 {ENTRY}",
        (Wrong("mode"),),
        compiled("absent", "cannot be read: it is root's, mode 0600"),
        (UNBUILT,),
    ),
    Flaw(
        "entry-a-link",
        f"mv {ENTRY} /srv/core.pyc; ln -s /srv/core.pyc {ENTRY}",
        (Wrong("symlink"),),
        doctor=(UNBUILT,),
    ),
    Flaw(
        "entry-a-fifo",
        f"rm {ENTRY}; mkfifo {ENTRY}",
        (Wrong("type"),),
        compiled("not a regular file", "ignored: it is a FIFO"),
        (UNBUILT,),
    ),
    Flaw(
        "entry-a-directory",
        f"rm {ENTRY}; mkdir {ENTRY}",
        (Wrong("type"),),
        compiled("not a regular file", "ignored: it is a directory"),
        (UNBUILT._replace(places=(ENTRY,), mend=(f"rmdir {ENTRY}", REBUILD)),),
    ),
    Flaw(
        "entry-with-another-name",
        f"ln {ENTRY} /srv/core.pyc",
        (Wrong("hardlink"),),
        mend=f"rm {ENTRY}; {REBUILD}",
    ),
)

TEMPORARY = ".pycache-sys-0123456789abcdef.tmp"
FOREIGN = f"{FOLDER}{PACKAGE}/notes.txt"
UNSAFE = Found(
    "tree",
    mend=(f"chown root:root {TREE}", f"chmod 0755 {TREE}", f"{REBUILD} --force"),
)
PLACE = f"{FOLDER}{PACKAGE}"


def spoilt(directory: str, *sources: str) -> Found:
    """Say what doctor says of a directory of the tree that others own or may write."""
    again = " ".join((f"{REBUILD} --force", *sources))
    mend = (f"chown root:root {directory}", f"chmod 0755 {directory}", again)
    return Found("tree", mend=mend, places=(directory,))


TREES = (
    Flaw(
        "foreign-file",
        f"echo mine >{FOREIGN}",
        left=(FOREIGN,),
    ),
    Flaw(
        "foreign-file-of-a-user",
        f"echo mine >{FOREIGN}; chown alice {FOREIGN}",
        (Wrong("owner", FOREIGN),),
        mend=f"rm {FOREIGN}",
    ),
    Flaw(
        "temporary-of-a-killed-run",
        f"head -c 99 {ENTRY} >{FOLDER}{PACKAGE}/{TEMPORARY}",
        (Wrong("stray", f"{FOLDER}{PACKAGE}/{TEMPORARY}"),),
        doctor=(UNBUILT._replace(places=(f"{FOLDER}{PACKAGE}/{TEMPORARY}",)),),
    ),
    Flaw(
        "temporary-at-the-top",
        f"touch {TREE}/{TEMPORARY}",
        (Wrong("stray", f"{TREE}/{TEMPORARY}"),),
        mend=REBUILD,
    ),
    Flaw(
        "no-tree",
        f"rm -r {TREE}",
        (Wrong("missing", TREE),),
        compiled("no folder", "absent: there is no such tree for this version"),
        (NO_TREE,),
    ),
    Flaw(
        "no-folder",
        f"rm -r {FOLDER}{DIST_PACKAGES}/idna",
        tuple(Wrong("missing", entry(f"{PACKAGE}/{name}.py")) for name in MODULES),
        compiled("no directory", "absent: it has nothing of this directory"),
        (UNBUILT._replace(places=PACKAGES_SOURCES),),
    ),
    Flaw(
        "tree-of-a-user",
        f"chown alice {TREE}",
        (Wrong("owner", TREE),),
        compiled("in wrong hands", "ignored: it belongs to alice (uid 1000), not to root", TREE),
        (UNSAFE,),
    ),
    Flaw(
        "tree-open-to-all",
        f"chmod 0777 {TREE}",
        (Wrong("mode", TREE),),
        compiled("in wrong hands", "ignored: everybody can write it (mode 0777)", TREE),
        (UNSAFE,),
    ),
    Flaw(
        "tree-a-link",
        f"mv {TREE} /srv/python; ln -s /srv/python {TREE}",
        (Wrong("symlink", TREE),),
        compiled(
            "in wrong hands", "ignored: it is a symbolic link, and none is followed here", TREE
        ),
        (Found("tree"),),
        mend=f"rm {TREE}; {REBUILD}",
    ),
    Flaw(
        "folder-of-a-user",
        f"chown alice {FOLDER}",
        (Wrong("owner", FOLDER),),
        compiled("in wrong hands", "ignored: it belongs to alice (uid 1000), not to root", FOLDER),
        (spoilt(FOLDER),),
    ),
    Flaw(
        "directory-open-to-all",
        f"chmod 0777 {FOLDER}{PACKAGE}",
        (Wrong("mode", f"{FOLDER}{PACKAGE}"),),
        doctor=(spoilt(PLACE, PACKAGE),),
    ),
    Flaw(
        "directory-private",
        f"chmod 0700 {FOLDER}{PACKAGE}",
        (Wrong("mode", f"{FOLDER}{PACKAGE}"),),
        compiled("absent", "cannot be read: it is root's, mode 0700", f"{FOLDER}{PACKAGE}"),
        doctor=(Found("tree", mend=(f"chmod 0755 {PLACE}",), places=(PLACE,)),),
    ),
    Flaw(
        "directory-a-link",
        f"mv {FOLDER}{PACKAGE} /srv/idna; ln -s /srv/idna {FOLDER}{PACKAGE}",
        (Wrong("symlink", f"{FOLDER}{PACKAGE}"),),
        doctor=(Found("tree", mend=(f"rm {PLACE}", REBUILD), places=(PLACE,)),),
    ),
    Flaw(
        "no-tag",
        f"rm {TREE}/CACHEDIR.TAG",
        (Wrong("tag", f"{TREE}/CACHEDIR.TAG"),),
        mend=REBUILD,
    ),
)

PYTHON = "/usr/bin/python3.13"
ENABLE = f"pycache-sys enable --python {PYTHON}"
RUNTIME = f"{DIST_PACKAGES}/pycache_sys_runtime"
HOOK_FILES = tuple(
    f"{RUNTIME}/{name}.py"
    for name in (
        "__init__",
        "caches",
        "hook",
        "judge",
        "keep",
        "layout",
        "loader",
        "modules",
        "own",
        "policy",
        "pythons",
        "trust",
    )
)
"""All but the first, whose bytecode the next start by root makes again."""
ENCODINGS = f"{LIBRARY}/encodings"
FIRST_FILES = tuple(
    f"{ENCODINGS}/{name}.py" for name in ("__init__", "aliases", "utf_8", "utf_8_sig")
)
PYPY = "/usr/lib/pypy3.11"
SETTINGS = (
    Flaw(
        "interpreter-removed",
        f"for deb in {SECOND}/*.deb; do dpkg-deb -x $deb /; done; {REBUILD} {PYPY}/os.py; "
        f"rm -r {PYPY} /usr/bin/pypy3*",
        (Wrong("stray", f"{TREE}/pypy3.11{PYPY}/os.pypy311.pyc"),),
        doctor=(Found("orphaned", mend=("pycache-sys prune",), places=(f"{TREE}/pypy3.11",)),),
    ),
    Flaw(
        "policy-with-a-typo",
        f"echo 'invalidation = hashed' >{DROP_IN}",
        status=3,
        doctor=(
            Found(
                "policy",
                mend=("pycache-sys policy check",),
                places=(f"{DROP_IN}:1: unknown invalidation 'hashed'",),
            ),
        ),
        mend=f"rm {DROP_IN}",
    ),
    Flaw(
        "policy-with-an-unknown-key",
        f"echo 'invalidaton = auto' >{DROP_IN}",
        doctor=(
            Found(
                "policy",
                "advice",
                ("pycache-sys policy check",),
                (f"{DROP_IN}:1: unknown key 'invalidaton': it does not count",),
            ),
        ),
        mend=f"rm {DROP_IN}",
    ),
    Flaw(
        "policy-open-to-all",
        f"echo 'enabled = no' >{DROP_IN}; chmod 0666 {DROP_IN}",
        status=3,
        doctor=(
            Found(
                "policy",
                mend=("pycache-sys policy check",),
                places=(f"{DROP_IN}: it is writable by its group and by others (mode 0666)",),
            ),
        ),
        mend=f"rm {DROP_IN}",
    ),
    Flaw(
        "policy-turns-the-hook-off",
        f"echo 'enabled = no' >{DROP_IN}",
        explain=NO_HOOK,
        doctor=(Found("disabled", "advice", places=(f"{DROP_IN}:1",)),),
        mend=f"rm {DROP_IN}; {REBUILD}",
    ),
    Flaw(
        "hook-taken-away",
        f"rm {DIST_PACKAGES}/pycache-sys.pth",
        explain=NO_HOOK,
        doctor=(Found("hook-missing", mend=(ENABLE,), places=(PYTHON,)),),
        mend=f"{ENABLE}; {REBUILD}",
    ),
    Flaw(
        "hook-without-bytecode",
        f"rm -r {RUNTIME}/__pycache__",
        doctor=(
            Found(
                "bootstrap",
                mend=one(f"{PYTHON} -B -I -S -m py_compile {' '.join(HOOK_FILES)}"),
                places=HOOK_FILES,
            ),
        ),
    ),
    Flaw(
        "bootstrap-without-bytecode",
        f"rm -r {ENCODINGS}/__pycache__; mount --bind {ENCODINGS} {ENCODINGS}; "
        f"mount -o remount,bind,ro {ENCODINGS}",
        mend=f"umount {ENCODINGS}; {PYTHON} -c pass",
        doctor=(
            Found(
                "bootstrap",
                mend=one(f"{PYTHON} -B -I -S -m py_compile {' '.join(FIRST_FILES)}"),
                places=FIRST_FILES,
            ),
        ),
    ),
    Flaw(
        "roots-bytecode-in-a-home",
        f"PYCACHE_SYS=off python3 -m compileall -q {PROJECT}",
        doctor=(
            Found(
                "root-owned",
                mend=one(
                    f"find {HOME} -xdev -type d -user root ! -name __pycache__ -prune -o "
                    "-user root \\( -type d -name __pycache__ -o "
                    "-type f -links 1 -path '*/__pycache__/*.pyc' \\) "
                    "-execdir chown --no-dereference --from=root 1000:1000 {} +",
                ),
                places=(f"{PROJECT}/__pycache__",),
            ),
        ),
    ),
    Flaw(
        "prefix-in-the-environment",
        "echo PYTHONPYCACHEPREFIX=/tmp/pycache >>/etc/environment",
        doctor=(Found("prefix-set", "advice", places=("/etc/environment:1",)),),
        mend="sed -i /PYTHONPYCACHEPREFIX/d /etc/environment",
    ),
    Flaw(
        "bytecode-beside-sources-too",
        f"python3 -m compileall -q {LIBRARY}/asyncio {LIBRARY}/email {PACKAGE}",
        explain=Loaded(beside="serves"),
        doctor=(Found("duplicates", "advice", ("pycache-sys migrate",), (LIBRARY, DIST_PACKAGES)),),
    ),
    Flaw(
        "bytecode-beside-sources-alone",
        f"python3 -m compileall -q {PACKAGE}; rm -r {TREE}",
        (Wrong("missing", TREE),),
        Loaded(
            "beside the source",
            system="no folder",
            words="absent: there is no such tree for this version",
            beside="serves",
        ),
        (NO_TREE,),
    ),
    Flaw(
        "module-for-another-python",
        f"printf '\\125\\015\\015\\012123456789012' >{DIST_PACKAGES}/vendors.pyc",
        doctor=(Found("sourceless-magic", places=(f"{DIST_PACKAGES}/vendors.pyc",)),),
        mend=f"rm {DIST_PACKAGES}/vendors.pyc",
    ),
    Flaw(
        "disk-nearly-full",
        f"cp -a {TREE} /srv/python; mount -t tmpfs -o size=40m,mode=755 tmpfs {TREE}; "
        f"cp -a /srv/python/. {TREE}",
        doctor=(Found("disk", places=(TREE,)),),
        mend=f"mount -o remount,size=400m {TREE}",
    ),
    Flaw(
        "no-account-for-workers",
        f"userdel {ACCOUNT}",
        doctor=(
            Found(
                "account",
                mend=one(
                    "useradd --system --no-create-home --home-dir / --shell /usr/sbin/nologin "
                    f"--comment 'Python bytecode compiler' {ACCOUNT}",
                ),
            ),
        ),
    ),
    Flaw(
        "package-installed-without-triggers",
        f"dpkg --no-triggers --install /srv/later_1_all.deb; echo 'triggers = off' >{DROP_IN}",
        (Wrong("missing", entry(f"{DIST_PACKAGES}/later.py")),),
        explain=compiled("absent", "absent"),
        doctor=(
            UNBUILT._replace(places=(f"{DIST_PACKAGES}/later.py",)),
            Found("triggers", "advice", (REBUILD,), (f"{DROP_IN}:1",)),
        ),
        module="later",
    ),
    Flaw(
        "labels-wrong",
        "mkdir /sys/fs /sys/fs/selinux; echo 0 >/sys/fs/selinux/enforce; "
        f'python3 -c \'import os; os.setxattr("{TREE}", "security.selinux", '
        'b"system_u:object_r:var_t:s0\\0")\'',
        doctor=(
            Found(
                "selinux",
                mend=(
                    "semodule -i pycache_sys.pp",
                    f"restorecon -RF {TREE} /var/cache/pycache-sys",
                ),
                places=(
                    TREE,
                    FOLDER,
                    f"{TREE}/CACHEDIR.TAG",
                    f"{FOLDER}/usr",
                    "/var/cache/pycache-sys",
                    "/var/cache/pycache-sys/last-run.json",
                    "/var/cache/pycache-sys/stamp",
                ),
            ),
        ),
        mend="rm -r /sys/fs/selinux",
    ),
)

FLAWS = (*SOURCES, *ENTRIES, *TREES, *SETTINGS)
