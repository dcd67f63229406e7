"""The files of backups: bases and WAL of the database, and snapshots of the vault."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from deploy.private_files import private_folder

STAMP = "%Y%m%dT%H%M%S.%fZ"


class NoBackup(Exception):
    """There is no backup of the moment that a restore asks for."""


@dataclass(frozen=True, slots=True)
class Backups:
    """The folder of all backups; the names of bases and snapshots are the times when they were complete."""

    folder: Path

    @property
    def wal(self) -> Path:
        """Return the folder of the WAL, made if it is missing."""
        return private_folder(private_folder(self.folder) / "wal")

    @property
    def bases(self) -> Path:
        """Return the folder of the base backups, made if it is missing."""
        return private_folder(private_folder(self.folder) / "bases")

    @property
    def snapshots(self) -> Path:
        """Return the folder of the vault's snapshots, made if it is missing."""
        return private_folder(private_folder(self.folder) / "snapshots")


def stamp(moment: datetime) -> str:
    """Return the name of a backup that was complete at a moment."""
    return moment.astimezone(UTC).strftime(STAMP)


def moment_of(backup: Path) -> datetime:
    """Return the moment of a backup."""
    return datetime.strptime(backup.name, STAMP).replace(tzinfo=UTC)


def newest(folder: Path, before: datetime | None) -> Path:
    """Return the newest backup, or the newest that was complete before a moment; raises NoBackup."""
    names = sorted(path for path in folder.iterdir() if not path.name.endswith(".new"))
    fitting = [path for path in names if before is None or moment_of(path) <= before]
    if not fitting:
        raise NoBackup(f"{folder} has no backup that was complete{f' by {before}' if before else ''}")
    return fitting[-1]
