"""Files that only their owner may read, created atomically once and reused at later starts."""

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PASSWORD_BYTES = 32


def write_private(
    path: Path, content: bytes, owner: tuple[int, int] | None = None, mode: int = 0o600
) -> Path:
    """Write a file atomically, with mode 0600 from its first byte on, and with `owner` and `mode` if given.

    Links are not followed, because the folder may belong to a program.
    """
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        if owner is not None:
            os.fchown(file.fileno(), *owner)
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())
    draft.replace(path)
    return path


def write_changed(
    path: Path, content: bytes, owner: tuple[int, int] | None = None, mode: int = 0o600
) -> bool:
    """Write a file as `write_private` does, unless it has this content; returns whether it was written."""
    if path.exists() and path.read_bytes() == content:
        return False
    write_private(path, content, owner, mode)
    return True


def private_folder(path: Path) -> Path:
    """Return a folder, created with mode 0700 if it is missing."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


@contextmanager
def locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock of a folder against threads and processes; the kernel releases it with the process.

    Without `wait`, raises BlockingIOError if another holds it.
    """
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(opened)


def kept(path: Path, make: Callable[[], bytes]) -> Path:
    """Return the file, created at the first call."""
    return path if path.exists() else write_private(path, make())


def password() -> bytes:
    """Return a new password of letters, digits, `-` and `_`."""
    return secrets.token_urlsafe(PASSWORD_BYTES).encode()
