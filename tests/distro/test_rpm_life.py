"""RPM packages of real projects come, change and go, by each tool: the tree is true each time."""

from collections.abc import Iterator

import pytest

from distro.chroots import Chroot
from distro.debian import DIST_PACKAGES, Suite
from distro.layers import scratch_folder
from distro.product import TREE, rebuild, rebuild_all
from distro.rpm_life import TOOLS, RpmLife, Tool, in_tree, machine_for, rpm, summaries
from distro.rpm_machines import OURS, PRIVATE, RPMS, SEALED, Installed, archive, ours

pytest_plugins = ["distro.rpm_fixtures"]

OLD = [archive("django", "5.2.7"), archive("requests", "2.32.4"), archive("gizmo", "0.13.3")]
NEW = [archive("django", "5.2.8"), archive("requests", "2.32.5"), archive("gizmo", "0.13.4")]
TWIN = archive("requests", "2.32.5+twin")
SEALED_RPM = archive("sealed", "1.17.0")
EVERYTHING = ("django", "requests", "gizmo", "sealed")
ABSENT = ("django.http", "django.template", "requests", "bottle", "sealed.six")


@pytest.fixture(params=TOOLS, ids=str)
def tool(request: pytest.FixtureRequest) -> Tool:
    chosen: Tool = request.param
    return chosen


@pytest.fixture
def life(tool: Tool, suite: Suite, rpm_installed: Installed) -> Iterator[RpmLife]:
    image = rpm_installed.image
    with (
        scratch_folder() as folder,
        image.running(folder) as outer,
        machine_for(tool, outer, image) as machine,
    ):
        yield RpmLife(tool, outer, machine, suite)


@pytest.mark.soak
def test_the_tree_is_true_after_each_transaction(life: RpmLife) -> None:
    machine, suite = life.machine, life.suite
    others = set(machine.path(TREE).rglob("*"))

    lines = summaries(life.do("install", *OLD, SEALED_RPM))
    # zypper may call rpm once for each package
    assert len(lines) == 1 or (life.tool.name.startswith("zypper") and len(lines) == 4)
    first = life.check()
    for place in (PRIVATE, f"{DIST_PACKAGES}/django", f"{DIST_PACKAGES}/requests"):
        assert in_tree(machine, place), place
    assert machine.path(SEALED).is_file()
    assert not in_tree(machine, f"{DIST_PACKAGES}/sealed")

    assert len(summaries(life.do("upgrade", *NEW))) > 1  # what is new, then what is gone
    second = life.check()
    for place in ("/django/__init__.py", "/requests/__version__.py", f"{PRIVATE}/bottle.py"):
        for python in suite.interpreters:
            one, two = first[python.directory], second[python.directory]
            (path,) = (path for path in one if path.endswith(place))
            assert one[path] != two[path], path

    life.do("upgrade", TWIN)
    third = life.check()
    for python in suite.interpreters:
        two, three = second[python.directory], third[python.directory]
        changed = {path for path in two if two[path] != three[path]}
        assert changed
        assert all("/requests/" in path for path in changed), changed

    life.do("downgrade", *OLD)
    assert life.check() == first

    assert summaries(life.do("erase", *EVERYTHING))
    life.check(absent=ABSENT)
    assert set(machine.path(TREE).rglob("*")) == others
    assert not machine.path(PRIVATE).exists()


@pytest.mark.soak
def test_it_upgrades_itself_and_removes_itself(life: RpmLife) -> None:
    machine = life.machine
    life.do("install", *OLD)

    assert summaries(life.do("upgrade", *ours("1.1")))
    life.check(absent=("sealed.six",))

    left = life.do("erase", *OURS)
    assert "left in place" not in left
    assert not machine.path(TREE).exists()
    assert not machine.path("/var/cache/pycache-sys").exists()
    program = "import requests, sys; sys.exit('pycache_sys_runtime' in ' '.join(sys.modules))"
    for python in life.suite.interpreters:
        machine.run(python.command, "-c", program)
    assert rpm(machine, "--verify", "--all") == ""


def test_without_triggers_nothing_wrong_is_read_and_the_next_rebuild_makes_it_true(
    rpm_machine: Chroot, suite: Suite
) -> None:
    first = "2.32.5"
    rpm(rpm_machine, "--install", archive("requests", first))
    for arguments in (("--upgrade", TWIN), ("--erase", "requests")):
        assert summaries(rpm(rpm_machine, "--notriggers", *arguments)) == []
        counts = rebuild(rpm_machine, "--dry-run").report["counts"]
        assert counts["compiled"] + counts["removed"] > 10
        for python in suite.interpreters:
            program = "import requests; print(requests.__doc__.strip()[0])"
            done = rpm_machine.attempt(python.command, "-c", program)
            if arguments[0] == "--upgrade":
                assert done.stdout.strip() == "r", "the twin begins with a small letter"
            else:
                assert "ModuleNotFoundError" in done.stderr
        rebuild_all(rpm_machine)
        counts = rebuild(rpm_machine, "--dry-run").report["counts"]
        assert counts["compiled"] == counts["removed"] == 0
    assert not in_tree(rpm_machine, f"{DIST_PACKAGES}/requests")


def test_packages_named_on_the_command_line_are_rpms_too(rpm_machine: Chroot, suite: Suite) -> None:
    rpm(rpm_machine, "--install", f"{RPMS}/requests-2.32.5-1.noarch.rpm")
    run = rebuild_all(rpm_machine, "-p", "requests")
    listed = rpm(rpm_machine, "--query", "--list", "requests").splitlines()
    sources = [path for path in listed if path.endswith(".py")]
    assert run.compiled == len(sources) * len(suite.interpreters) > 10
