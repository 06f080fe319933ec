"""Do what a task says."""

from pycache_sys.core.model import Outcome, Reason
from pycache_sys.in_place.removal import Removal
from pycache_sys.in_place.restoration import Restoration
from pycache_sys.in_place.task import Scene, Task
from pycache_sys.system.pythons.workers import WorkersError


def act(task: Task, scene: Scene) -> None:
    """Do it, and say in the report what was done.

    What goes wrong with a directory is an outcome in the report. Raises PycacheSysError where the
    ledger or a manifest cannot be read: then nothing was removed.
    """
    work = Restoration(task, scene) if task.undo else Removal(task, scene)
    scene.report.in_place = work.result  # also for those who interrupt it
    try:
        work.run()
    except WorkersError as error:
        scene.report.add(Outcome(scene.tree.path, Reason.WORKER, str(error)))
