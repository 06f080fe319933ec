"""What runs inside every interpreter: CPython 3.8 and later, PyPy; no dependency.

Nothing here imports a module that a bare interpreter has not loaded already. What a start-up needs
before anything else stands here.
"""

DIRECTORIES = ("/etc", "/run", "/usr/lib")
"""Where policy stands, the highest precedence first."""
FILE_NAME = "pycacheprefix.conf"
MAIN_FILES = tuple([directory + "/" + FILE_NAME for directory in DIRECTORIES])
DROP_IN_DIRECTORIES = tuple([path + ".d" for path in MAIN_FILES])

BUILT_IN = {
    "enabled": True,
    "system-tree": "/var/cache/python",
    "image-tree": "/usr/lib/pycache",
    "user-cache": "{user_cache_dir}",
    "root-cache": "/var/cache/pycache-sys/root",
    "service-cache": "{cache_directory}",
    "service-uids": ((1, 999), (61184, 65519), (65534, 65534)),
    "read-beside-source": True,
    "explicit-prefix": "layer",
    "export-prefix": False,
}
"""What holds where no policy says anything, as ``policy.understand`` reads it."""


def hide(function):
    # type: (object) -> None
    """Take a function's frames out of the tracebacks of imports, like the interpreter's own."""
    try:
        code = function.__code__  # type: ignore[attr-defined]
        function.__code__ = code.replace(  # type: ignore[attr-defined]
            co_filename="<frozen importlib._bootstrap_external>"
        )
    except (AttributeError, TypeError):
        pass  # an interpreter that cannot do it shows one frame more
