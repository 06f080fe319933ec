"""Disposable: the tree may go and come back under a thousand processes, and none of them minds."""

import threading

from distro.chroots import Chroot
from distro.hook_starts import start
from distro.machines import BOOKWORM, PYTHONS, Machines
from distro.product import TREE, rebuild

pytest_plugins = ["distro.hook_fixtures"]

PYTHON = PYTHONS[0]
PROCESSES = 1000
PROGRAM = "import json, base64; print(json.dumps([base64.b64encode(b'a').decode(), {}]))"
RUN = f'seq {PROCESSES} | xargs -P 4 -I{{}} {PYTHON.command} -c "{PROGRAM}"'
BUILT = ("/usr/lib/python3.11/json", "/usr/lib/python3.11/re", "/usr/lib/python3.11/collections")


def test_the_tree_comes_and_goes(machines: Machines) -> None:
    with machines.running(BOOKWORM) as chroot:
        done, rounds = threading.Event(), []
        trouble: list[object] = []

        def build_and_remove(chroot: Chroot) -> None:
            while not done.is_set():
                removed = chroot.attempt("rm", "-rf", TREE)
                run = rebuild(chroot, *BUILT)
                rounds.append(run.compiled)
                if (removed.returncode, run.status) != (0, 0):
                    trouble.append((removed.stderr, run.stderr))
                done.wait(0.3)

        builder = threading.Thread(target=build_and_remove, args=(chroot,))
        builder.start()
        try:
            found = start(chroot, "sh", "-c", RUN, trace=False)
        finally:
            done.set()
            builder.join()
        assert (found.status, found.stderr) == (0, "")
        expected = {f'["YQ==", {number}]' for number in range(1, PROCESSES + 1)}
        lines = found.stdout.splitlines()
        assert len(lines) == PROCESSES
        assert set(lines) == expected
        assert trouble == []
        assert len(rounds) > 3
        assert min(rounds) > 0
