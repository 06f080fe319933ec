"""Labels and rules for SELinux, AppArmor and fapolicyd: their tools take them as they are meant."""

import re
from collections.abc import Iterator

import pytest

from distro.boots import with_systemd
from distro.chroots import Chroot, Image
from distro.conftest import REPOSITORY
from distro.debian import DIST_PACKAGES, SUITES, Suite
from distro.hook_starts import start_in_own_mounts
from distro.layers import layer_on, scratch_folder

pytest_plugins = ["distro.packaging_fixtures"]

RELEASES = [suite for suite in SUITES if not suite.moving]
TRIXIE = next(suite for suite in SUITES if suite.name == "trixie")
TOOLS = "checkpolicy semodule-utils secilc policycoreutils selinux-policy-default fapolicyd"
SOURCE = f"{DIST_PACKAGES}/idna/core.py"
LABELLED = (
    f"/var/cache/python/3.13{SOURCE[:-3]}.cpython-313.pyc",
    "/var/cache/python",
    "/var/cache/pycache-sys/ids",
    "/var/cache/pycache-sys/root/3.13/root/tool.cpython-313.pyc",
    "/usr/lib/pycache/3.13/usr/lib/python3.13/json/decoder.cpython-313.pyc",
)
PROFILE = """\
abi <abi/3.0>,
include <tunables/global>
profile tried /usr/bin/tried {{
  {includes}
}}
"""
TREE_RULE = "(/var/cache/python/{,**})"
OWN_RULE = ".cache/pycache-sys/{,**})"
RULES = re.compile(r"^(?:Mode|Perms):\t(\S+).*\tName:\t(.*)$", re.MULTILINE)
FAPOLICYD = """\
rules=/etc/fapolicyd/rules.d
mkdir -p $rules /var/cache/python /run/fapolicyd
chown root:fapolicyd $rules
for name in 10-languages 70-trusted-lang 90-deny-execute 95-allow-open; do
    cp /usr/share/fapolicyd/sample-rules/$name.rules $rules
done
cp /srv/69-pycache-sys.rules $rules
fagenrules --load >/dev/null 2>&1 || :
sed -i 's/^watch_fs.*/watch_fs = overlay/; s/^trust =.*/trust = file/; s/^[ug]id =.*/uid = root/' \
    /etc/fapolicyd/fapolicyd.conf
cp /usr/lib/python3/dist-packages/idna/__pycache__/core.cpython-*.pyc /var/cache/python/tree.pyc
cp /var/cache/python/tree.pyc /srv/own.pyc
mount -t tmpfs none /mnt
mkfifo /mnt/nothing
exec 3<>/mnt/nothing
said() { # wait for words in the log, with no program: each would have to wait for an answer itself
    while :; do
        while read -r line; do
            if [[ $line == *$1* ]]; then return; fi
        done </mnt/log
        read -rt 0.1 -u 3 || :
    done
}
: >/mnt/log
timeout --kill-after=5 40 fapolicyd --debug --permissive >/mnt/log 2>&1 &
said 'Starting to listen'
cat /var/cache/python/tree.pyc /srv/own.pyc >/dev/null
said 'exe=/usr/bin/cat '*own.pyc
kill $!
wait
grep 'exe=/usr/bin/cat .*pyc' /mnt/log
"""


def put(chroot: Chroot, folder: str) -> str:
    """Copy the checkout's files of one kind; return where they are."""
    for path in (REPOSITORY / folder).iterdir():
        chroot.path(f"/srv/{path.name}").write_bytes(path.read_bytes())
    return "/srv"


@pytest.fixture(scope="module")
def tools(unpackaged: Image) -> Image:
    """Give a machine with the compilers, and a policy to add to."""
    *_, base = unpackaged.layers
    command = "DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "
    return layer_on(Image((base,)), "labels-trixie", (), command + TOOLS)


@pytest.fixture
def labelling(tools: Image) -> Iterator[Chroot]:
    """Give a private copy of it."""
    with scratch_folder() as folder, tools.running(folder) as copy:
        yield copy


@pytest.fixture(scope="module")
def image(suite: Suite, unpackaged: Image) -> Iterator[Image]:
    """Give a machine with AppArmor and the packages."""
    with with_systemd(suite, unpackaged) as made:
        yield made


@pytest.fixture
def machine(image: Image) -> Iterator[Chroot]:
    """Give a private copy of it."""
    with scratch_folder() as folder, image.running(folder) as copy:
        yield copy


@pytest.mark.parametrize("suite", [TRIXIE], ids=lambda suite: suite.name, indirect=True)
def test_selinux_gives_the_tree_the_label_of_the_sources(labelling: Chroot, suite: Suite) -> None:
    folder = put(labelling, "selinux")
    build = (
        "checkmodule -M -m -o pycache_sys.mod pycache_sys.te\n"
        "semodule_package -o pycache_sys.pp -m pycache_sys.mod -f pycache_sys.fc\n"
    )
    documented = labelling.path(f"{folder}/pycache_sys.te").read_text()
    assert all(line in documented for line in build.split("\n"))
    done = labelling.attempt("sh", "-ec", f"cd {folder}\n{build}")
    assert (done.returncode, done.stderr) == (0, "")
    labelling.run("semodule", "-n", "-s", "default", "-i", f"{folder}/pycache_sys.pp")
    contexts = "/etc/selinux/default/contexts/files/file_contexts"
    found = {path: label(labelling, contexts, path) for path in (SOURCE, *LABELLED)}
    assert set(found.values()) == {"system_u:object_r:lib_t:s0"}, found
    labelling.run("semodule", "-n", "-s", "default", "-r", "pycache_sys")
    assert label(labelling, contexts, LABELLED[0]) != found[SOURCE]


def label(chroot: Chroot, contexts: str, path: str) -> str:
    return chroot.run("matchpathcon", "-n", "-f", contexts, path).strip()


@pytest.mark.parametrize("suite", RELEASES, ids=lambda suite: suite.name, indirect=True)
@pytest.mark.parametrize(
    ("includes", "tree", "own"),
    [  # for the file's owner, and after the colon for everybody else
        ("include <abstractions/base>", "", set()),
        ("include <abstractions/python>", "r:r", {"r:"}),
        ("include <abstractions/pycache-sys>", "r:r", {"r:"}),
        ("include <abstractions/pycache-sys-write>", "r:r", {"rwa:"}),
    ],
    ids=["neither", "python", "pycache-sys", "pycache-sys-write"],
)
def test_apparmor_lets_programs_read_the_tree(
    machine: Chroot, suite: Suite, includes: str, tree: str, own: set[str]
) -> None:
    machine.path("/srv/profile").write_text(PROFILE.format(includes=includes))
    command = ("apparmor_parser", "--skip-kernel-load", "--skip-cache", "--debug", "/srv/profile")
    done = machine.attempt(*command)
    assert done.returncode == 0, done.stderr
    rules = {rule: mode for mode, rule in RULES.findall(done.stdout)}
    assert rules.get(TREE_RULE, "") == tree
    assert {mode for rule, mode in rules.items() if rule.endswith(OWN_RULE)} == own


@pytest.mark.parametrize("suite", [TRIXIE], ids=lambda suite: suite.name, indirect=True)
def test_fapolicyd_lets_the_tree_be_opened_and_no_other_bytecode(
    labelling: Chroot, suite: Suite
) -> None:
    """It judges all that is opened in its mounts, which are this copy's alone; and only says so."""
    put(labelling, "selinux")
    labelling.path("/srv/script").write_text(FAPOLICYD)
    done = start_in_own_mounts(labelling, "bash", "-eu", "/srv/script", user=0)
    assert done.status == 0, done.stderr
    said = re.findall(r"dec=(\S+) .* path=(\S+) ftype=application/x-bytecode.python", done.stdout)
    assert sorted(set(said)) == [
        ("allow", "/var/cache/python/tree.pyc"),
        ("deny_audit", "/srv/own.pyc"),
    ]
