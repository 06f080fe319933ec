"""What is kept beside the tree, in ``/var/cache/pycache-sys``: small files for all to read."""

import os

from pycache_sys.core.plan import temporary_name


def write_state(path: str, content: bytes) -> None:
    """Replace one of these files, whole or not at all. Raises OSError.

    Its directory is made if it is missing: every start-up looks there, whatever the umask was.
    """
    directory = os.path.dirname(path)
    os.makedirs(directory, mode=0o755, exist_ok=True)
    os.chmod(directory, 0o755)  # noqa: S103 - as the docstring says
    # what a killed run leaves has a name that packages take away
    temporary = f"{directory}/{temporary_name(os.urandom(8).hex())}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o644)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(descriptor, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
