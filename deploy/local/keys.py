"""Files that only their owner may read: made once, whole or not at all, and used again at the next start."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path

PASSWORD_BYTES = 32


def write_private(path: Path, content: bytes, owner: tuple[int, int] | None = None) -> Path:
    """Put a file in place at once, with mode 0600 from its first byte on, and with another owner where told.

    No link is followed: the folder may be a program's own.
    """
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        if owner is not None:
            os.fchown(file.fileno(), *owner)
        os.fsync(file.fileno())
    draft.replace(path)
    return path


def kept(path: Path, make: Callable[[], bytes]) -> Path:
    """Give the file, made at the first call."""
    return path if path.exists() else write_private(path, make())


def password() -> bytes:
    """Make a password of letters, digits, `-` and `_`."""
    return secrets.token_urlsafe(PASSWORD_BYTES).encode()
