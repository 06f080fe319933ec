"""Remove the bytecode beside sources that the tree serves as well."""

import errno
import os
from collections import defaultdict

from pycache_sys.core.in_place import Folder, Left, View, select, source_named_by
from pycache_sys.core.model import Reason
from pycache_sys.core.plan import is_temporary, source_of
from pycache_sys.core.report import InterpreterNote
from pycache_sys.discover import select_interpreters
from pycache_sys.in_place.work import Visit, Work
from pycache_sys.packagers.manifests import named_bytecode
from pycache_sys.system import in_place as system
from pycache_sys.system import ledger
from pycache_sys.system.pythons.first_imports import observe
from pycache_sys.system.sources import is_gone

_NO_HOOK = "a start of it does not have the hook, and would compile what is removed each time"
_STOPPING = frozenset({errno.EROFS, errno.EIO})


class Removal(Work):
    """Removes what the tree serves as well."""

    def run(self) -> None:
        """Plan all of it, write down what will go, and remove it."""
        visits = {path: v for path, v in self._visits().items() if v.listing.has_bytecode}
        folders = {path: self._folder(visit) for path, visit in visits.items()}
        folders = {
            path: one for path, one in folders.items() if one.files or not visits[path].names
        }
        if not folders and not self._task.is_asked:
            return
        views = {
            (path, number): self._view(path, folders[path].files, number)
            for path in folders
            for number in visits[path].targets
        }
        self._confirm(views)
        first = self._observe()
        if first is None:
            return
        blocked, before_hook = first
        for key, view in views.items():
            views[key] = view._replace(blocked=blocked.get(view.order.cache_tag))
        chosen = self._select(folders, views, before_hook, frozenset())
        if not any(chosen.values()) and all(folder.files for folder in folders.values()):
            named: frozenset[str] = frozenset()  # nothing goes: no need to ask package managers
        else:
            named = named_bytecode(folders)
            chosen = self._select(folders, views, before_hook, named)
        self._remove(folders, chosen, named)

    def _folder(self, visit: Visit) -> Folder:
        folder = system.look(visit.listing.path, visit.listing.sources)
        if visit.names is not None:
            orders = [self._orders[number] for number in visit.targets]
            meant = {
                name: file
                for name, file in folder.files.items()
                if any(source_of(name, order) in visit.names for order in orders)
            }
            folder = folder._replace(files=meant)
        if self._trust.directory(folder.path) is not None:
            folder = folder._replace(is_roots=False)
        return folder

    def _observe(self) -> tuple[dict[str, Left], set[str]] | None:
        """Say which cache tags are not to be touched, and what is loaded before the hook.

        A tag is not, as long as one interpreter that has it does not read what was built: 3.13 and
        3.13t have the same, and so may one that was left out.
        """
        blocked: dict[str, Left] = {}
        before_hook: set[str] = set()
        folders = {order.directory for order in self._orders}
        tags = {order.cache_tag for order in self._orders}
        for note in (*self._notes, *self._others()):
            found = note.interpreter
            if found is None or found.cache_tag not in tags:
                continue
            if note.refusal is not None and note.refusal[0] is not Reason.EXCLUDED:
                blocked[found.cache_tag] = Left.NO_HOOK  # one that others can change is not run
                continue
            seen = observe(found)
            before_hook.update(seen.sources)
            if self._task.force:
                continue
            if not seen.is_hooked or found.directory not in folders:
                blocked[found.cache_tag] = Left.NO_HOOK
            if not seen.is_hooked and note.refusal is None and self._task.is_asked:
                self.result.refused.append((note.path, _NO_HOOK))
        return blocked, before_hook

    def _others(self) -> list[InterpreterNote]:
        """Find the interpreters that do not take part, where some were chosen."""
        if not self._scene.is_narrowed:
            return []
        known = {note.path for note in self._notes}
        everyone = select_interpreters((), (), self._scene.access, self._scene.policy)
        left_out = (Reason.EXCLUDED, "it does not take part")
        return [
            note if note.refusal else note._replace(refusal=left_out)
            for note in everyone
            if note.path not in known
        ]

    def _select(
        self,
        folders: dict[str, Folder],
        views: dict[tuple[str, int], View],
        before_hook: set[str],
        named: frozenset[str],
    ) -> dict[str, list[str]]:
        """Choose what goes, by directory; what stays is in the result, with its reason."""
        by_directory: dict[str, list[View]] = defaultdict(list)
        for (path, _), view in views.items():
            by_directory[path].append(view)
        self.result.left.clear()
        chosen: dict[str, list[str]] = {}
        for path, folder in folders.items():
            verdicts = select(folder, by_directory[path], before_hook, named)
            chosen[path] = sorted(name for name, why in verdicts.items() if why is None)
            self.result.left += [
                (f"{path}/{system.PYCACHE}/{name}".rstrip("/"), why)
                for name, why in verdicts.items()
                if why is not None
            ]
        return chosen

    def _remove(
        self, folders: dict[str, Folder], chosen: dict[str, list[str]], named: frozenset[str]
    ) -> None:
        chosen = self._writable(folders, chosen)
        if self._scene.report.dry_run:
            self._only_say(folders, chosen)
            return
        if any(chosen.values()) and not self._write_down(folders, chosen):
            return
        for path, names in chosen.items():
            try:
                may_go = f"{path}/{system.PYCACHE}" not in named
                done = system.remove(path, names, may_go=may_go)
                self.result.removed += done.files
                self.result.space += done.space
                self.result.directories += done.is_gone
            except (OSError, system.NotRootsError) as error:
                self._fail(f"{path}/{system.PYCACHE}", error, "not removed")
                if isinstance(error, OSError) and error.errno in _STOPPING:
                    return

    def _writable(
        self, folders: dict[str, Folder], chosen: dict[str, list[str]]
    ) -> dict[str, list[str]]:
        """Leave out what is on a file system that takes no changes, and say so once for each."""
        said: dict[int, bool] = {}
        kept = {}
        for path, names in chosen.items():
            if not (names or not folders[path].files) or not folders[path].is_roots:
                continue
            device = os.stat(path).st_dev
            if device not in said:
                said[device] = system.is_read_only(path)
                # what the policy asks for at each run is no failure where nothing can change
                if said[device] and names and self._task.is_asked:
                    error = OSError(errno.EROFS, os.strerror(errno.EROFS))
                    self._fail(f"{path}/{system.PYCACHE}", error, "nothing was removed here")
            if not said[device]:
                kept[path] = names
        return kept

    def _only_say(self, folders: dict[str, Folder], chosen: dict[str, list[str]]) -> None:
        for path, names in sorted(chosen.items()):
            files = folders[path].files
            self.result.removals += [f"{path}/{system.PYCACHE}/{name}" for name in names]
            self.result.removed += len(names)
            self.result.space += sum(files[name].space for name in names)
            self.result.directories += len(names) == len(files)

    def _write_down(self, folders: dict[str, Folder], chosen: dict[str, list[str]]) -> bool:
        """Add what will be removed to the ledger, and take out what has no source any more."""
        before = ledger.read(self._task.ledger)
        records: dict[str, ledger.Record] = {}
        for path, (status, files) in before.items():
            kept = {n: f for n, f in files.items() if not is_gone(f"{path}/{source_named_by(n)}")}
            if kept:
                records[path] = (status, kept)
        for path, names in chosen.items():
            found = folders[path].files
            new = {name: found[name] for name in names if not is_temporary(name)}
            if new:
                known = records.get(path, (None, {}))[1]
                records[path] = (folders[path].status, {**known, **new})
        try:
            ledger.write(records, self._task.ledger)
        except OSError as error:
            self._fail(self._task.ledger, error, "nothing was removed, for this cannot be written")
            return False
        return True
