"""Put the bytecode back that was removed from beside sources."""

import os
import time
from collections.abc import Iterator

from pycache_sys.core import pyc
from pycache_sys.core.in_place import Beside, View, source_named_by
from pycache_sys.core.plan import source_of
from pycache_sys.in_place.work import Visit, Work, has
from pycache_sys.system import in_place as system
from pycache_sys.system import ledger
from pycache_sys.system.sources import is_gone
from pycache_sys_runtime import layout


class Restoration(Work):
    """Puts back what was removed."""

    def run(self) -> None:
        """Copy the tree's entries to where they were, and shorten the ledger."""
        records = ledger.read(self._task.ledger)
        is_lost = not os.path.lexists(self._task.ledger)
        visits = self._visits() if not self._task.is_whole else {}
        wanted = dict(self._meant(records, visits))
        if is_lost:
            wanted = self._from_sources(visits)
        views: dict[tuple[str, int], View] = {}
        for path, (_, files) in wanted.items():
            for number, target in enumerate(self._targets):
                if has(target, path):
                    views[path, number] = self._view(path, files, number)
        self._confirm(views)
        for path, (status, files) in sorted(wanted.items()):
            numbers = range(len(self._targets))
            seen = [views[path, number] for number in numbers if (path, number) in views]
            done = self._restore(path, status, files, seen, is_listed=not is_lost)
            if path in records and not self._scene.report.dry_run:
                rest = {n: f for n, f in records[path][1].items() if n not in done}
                records[path] = (records[path][0], rest)
        if records and not self._scene.report.dry_run:
            try:
                ledger.write({p: r for p, r in records.items() if r[1]}, self._task.ledger)
            except OSError as error:
                self._fail(self._task.ledger, error, "not updated")

    def _meant(
        self, records: dict[str, ledger.Record], visits: dict[str, Visit]
    ) -> Iterator[tuple[str, ledger.Record]]:
        """Choose from the ledger what the task names."""
        for path, (status, files) in records.items():
            if self._task.is_whole:
                yield path, (status, files)
            elif path in visits:
                names = visits[path].names
                meant = {n: f for n, f in files.items() if not names or source_named_by(n) in names}
                yield path, (status, meant)

    def _from_sources(self, visits: dict[str, Visit]) -> dict[str, ledger.Record]:
        """Without a ledger: every source that is meant gets what its packages would compile."""
        now = time.time_ns()
        wanted = {}
        for path, visit in visits.items():
            files = {}
            for number in visit.targets:
                tag = self._orders[number].cache_tag
                for source in visit.listing.sources:
                    name = layout.cache_name(source, tag)
                    if name is not None and (visit.names is None or source in visit.names):
                        files[name] = Beside(0o644, 0, 0, now)
            if files:
                wanted[path] = (Beside(0o755, 0, 0, now), files)
        return wanted

    def _restore(
        self,
        path: str,
        status: Beside,
        files: dict[str, Beside],
        views: list[View],
        *,
        is_listed: bool,
    ) -> set[str]:
        """Put back what belongs into one directory; name what the ledger needs no more."""
        settled = {name for name in files if is_gone(f"{path}/{source_named_by(name)}")}
        contents: dict[str, tuple[bytes, Beside]] = {}
        for name, file in files.items():
            content = None if name in settled else self._content(path, name, views)
            if content is not None:
                contents[name] = (content, file)
            elif is_listed and name not in settled:
                why = "the tree has no fresh bytecode of it"
                self.result.missing.append((f"{path}/{system.PYCACHE}/{name}", why))
        if self._scene.report.dry_run:
            self.result.removals += [f"{path}/{system.PYCACHE}/{name}" for name in contents]
            self.result.restored += len(contents)
        elif contents:
            try:
                self.result.restored += len(system.restore(path, status, contents))
                settled.update(contents)
            except (OSError, system.NotRootsError) as error:
                self._fail(f"{path}/{system.PYCACHE}", error, "not put back")
        return settled

    def _content(self, path: str, name: str, views: list[View]) -> bytes | None:
        """Fetch the tree's entry, if it is fresh; in a dry run nothing stands for one to come."""
        for view in views:
            source = source_of(name, view.order)
            if source is None or not view.serves(name, source):
                continue
            entry = view.tree.entries.get(name)
            if entry is None:
                return b""
            try:
                content = system.read(f"{view.order.prefix}{path}/{name}")
            except OSError:
                continue
            if pyc.is_well_formed(content, entry.header):
                return content
        return None
