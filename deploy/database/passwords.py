"""Files of passwords in the folder of keys: `butler_gateway.password`, and the next one in a rotation."""

from pathlib import Path

from deploy.private_files import write_private


def in_use(keys: Path, role: str) -> Path:
    """Return the path of a role's password."""
    return keys / f"{role}.password"


def following(keys: Path, role: str) -> Path:
    """Return the path of the password that a role will have, only while it is replaced."""
    return keys / f"{role}.next.password"


def both(keys: Path, role: str) -> Path:
    """Return the path of a file with the two, for a service while the password is replaced."""
    return keys / f"{role}.both.password"


def candidates(keys: Path, role: str) -> list[str]:
    """Return the passwords of which one is the role's; raises OSError."""
    files = (in_use(keys, role), following(keys, role))
    return [path.read_text().strip() for path in files if path == files[0] or path.exists()]


def for_service(keys: Path, role: str) -> Path:
    """Return a file for a service that connects with the first of its lines that the server accepts."""
    if not following(keys, role).exists():
        return in_use(keys, role)
    return write_private(both(keys, role), "\n".join(candidates(keys, role)).encode())
