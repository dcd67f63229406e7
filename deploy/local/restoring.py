"""The mark of a restore that is under way: a stack does not start until the restore is complete."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from deploy.local.processes import PartFailed
from deploy.private_files import write_private

MARK, BEFORE = "restoring", ".before"


def require_restored(directory: Path) -> None:
    """Raise PartFailed if a restore of the directory has begun and is not complete."""
    if (directory / MARK).exists():
        raise PartFailed(
            f"A restore of {directory} was interrupted, so secrets that were destroyed may work again. "
            "Run the same `python -m deploy.backup restore` again."
        )


def begun(directory: Path) -> datetime | None:
    """Return the beginning of an interrupted restore of the directory; None without such a restore."""
    mark = directory / MARK
    return datetime.fromtimestamp(mark.stat().st_mtime, UTC) if mark.exists() else None


@contextmanager
def restoring(directory: Path) -> Iterator[None]:
    """Mark a directory, and delete the data that an earlier restore replaced; a failure leaves the mark."""
    mark = directory / MARK
    if not mark.exists():  # a failed restore set aside the data that preceded it
        for kept in directory.glob(f"*/*{BEFORE}"):
            shutil.rmtree(kept)
        write_private(mark, b"")
    yield
    mark.unlink()


def set_aside(path: Path) -> None:
    """Rename a folder to `<name>.before`; delete it if a failed restore has already set aside another."""
    kept = path.with_name(f"{path.name}{BEFORE}")
    if kept.exists():
        shutil.rmtree(path, ignore_errors=True)
    elif path.exists():
        path.rename(kept)
