"""Names choose interpreters, roots and files."""

from os.path import normpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycache_sys.core import select
from pycache_sys.core.model import Interpreter
from strategies import directories


def interpreter(library: str, *site: str) -> Interpreter:
    return Interpreter(
        path="/usr/bin/python3",
        binary="/usr/bin/python3",
        version=(3, 11, 2),
        implementation="cpython",
        cache_tag="cpython-311",
        magic=b"\xa7\r\r\n",
        directory="3.11",
        environment="",
        library=(library,),
        site=site,
    )


def test_below_is_by_component_and_not_by_text() -> None:
    assert select.is_below("/usr/lib/python3", "/usr/lib/python3")
    assert select.is_below("/usr/lib/python3/foo.py", "/usr/lib/python3")
    assert select.is_below("/anything", "/")
    assert not select.is_below("/usr/lib/python3x/foo.py", "/usr/lib/python3")


@given(st.lists(directories, max_size=6))
def test_outermost_roots_cover_all_and_do_not_overlap(roots: list[str]) -> None:
    kept = select.outermost(roots)
    assert all(any(select.is_below(normpath(root), top) for top in kept) for root in roots)
    assert not any(
        select.is_below(one, other) for one in kept for other in kept if one is not other
    )
    assert set(kept) <= {normpath(root) for root in roots}


def test_directories_are_divided_by_the_managed_roots() -> None:
    inside, outside = select.managed(
        ["/usr/lib", "/usr/../etc", "/etc", "/usrx", "/usr/lib/", "/usr"], ["/usr", "/opt"]
    )
    assert inside == ["/usr/lib", "/usr"]
    assert outside == ["/usr/../etc", "/etc", "/usrx", "/usr/lib/"]


def test_a_named_interpreters_prefix_is_a_managed_root() -> None:
    assert select.managed_roots(["/srv/py/bin/python3.11"]) == ("/usr", "/opt", "/srv/py")


@pytest.mark.parametrize("path", ["/bin/python3.11", "/python3.11"])
def test_the_whole_system_is_never_a_managed_root(path: str) -> None:
    assert select.managed_roots([path]) == ("/usr", "/opt")


@pytest.mark.parametrize(
    ("directory", "starts"),
    [
        ("/usr/lib/python3.11/test", ("bad_coding", "badsyntax")),
        ("/usr/lib/python3.11/lib2to3/tests/data", ("",)),
        ("/usr/lib/python3.11/lib2to3/tests/data/fixers", ("",)),
        ("/usr/lib/python3.11/lib2to3/pgen2", ()),
        ("/usr/lib/python3.11", ()),
        ("/usr/lib/python3.11x/test", ()),
        ("/usr/lib/python3/dist-packages/app/test", ()),
    ],
)
def test_broken_test_data_is_known_in_a_library_and_nowhere_else(
    directory: str, starts: tuple[str, ...]
) -> None:
    assert select.broken_test_data(directory, ["/usr/lib/python3.11"]) == starts


def test_an_interpreters_own_directories_are_its_alone_and_all_else_is_for_everyone() -> None:
    old = interpreter("/usr/lib/python3.11", "/usr/lib/python3/dist-packages")
    new = interpreter("/usr/lib/python3.13", "/usr/lib/python3/dist-packages")
    both = [old, new]
    assert select.serves("/usr/lib/python3.11/re.py", old, both)
    assert not select.serves("/usr/lib/python3.11/re.py", new, both)
    assert all(select.serves("/usr/lib/python3/dist-packages/a.py", one, both) for one in both)
    assert all(select.serves("/usr/share/app/a.py", one, both) for one in both)


@pytest.mark.parametrize(
    ("path", "published"),
    [
        ("/usr/lib/python3/dist-packages/a.py", True),
        ("/usr/share/app/a.py", True),
        ("/usr/share/doc/app/example.py", False),
        ("/usr/share/docs/a.py", True),
        ("/etc/app/a.py", False),
        ("/usr/bin/tool.py", False),
        ("/usr/lib/python3/dist-packages/a.so", False),
    ],
)
def test_a_packages_documentation_and_scripts_are_not_published(path: str, published: bool) -> None:
    assert select.publishes(path) is published
