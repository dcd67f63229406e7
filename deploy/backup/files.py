"""The files of backups: bases and WAL of the database, and snapshots of the vault."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from deploy.private_files import private_folder

STAMP = "%Y%m%dT%H%M%S.%fZ"
CLOSED = "wal."


class NoBackup(Exception):
    """The folder of backups has no backup for the requested moment."""


@dataclass(frozen=True, slots=True)
class Backups:
    """The folder of all backups; the names of bases and snapshots are the times when they were complete.

    A restore of the database begins another branch of its WAL. It closes the folder of the WAL: `wal` becomes
    `wal.<its moment>`, which belongs to the bases since the restore before it.
    """

    folder: Path

    @property
    def wal(self) -> Path:
        """Return the folder of the WAL, made if it is missing."""
        return private_folder(private_folder(self.folder) / "wal")

    def close_wal(self, moment: datetime) -> None:
        """Keep the WAL for the bases that are older than a restore."""
        self.wal.rename(self.folder / f"{CLOSED}{stamp(moment)}")

    def closed(self) -> list[datetime]:
        """Return the moments when a restore closed the folder of the WAL, in order."""
        names = [path.name.removeprefix(CLOSED) for path in self.folder.glob(f"{CLOSED}*")]
        return sorted(moment for moment in map(_moment, names) if moment)

    def wal_of(self, base: Path) -> Path:
        """Return the folder with the WAL that follows a base."""
        later = [moment for moment in self.closed() if moment > moment_of(base)]
        return self.folder / f"{CLOSED}{stamp(later[0])}" if later else self.wal

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


def _moment(name: str) -> datetime | None:
    """Return the moment that a name says; None for other names, as of unfinished backups."""
    try:
        return datetime.strptime(name, STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def newest(folder: Path, before: datetime | None) -> Path:
    """Return the newest backup, or the newest that was complete before a moment; raises NoBackup."""
    names = sorted(path for path in folder.iterdir() if _moment(path.name))
    fitting = [path for path in names if before is None or moment_of(path) <= before]
    if not fitting:
        raise NoBackup(f"{folder} has no backup that was complete{f' by {before}' if before else ''}")
    return fitting[-1]


def base_until(backups: Backups, until: datetime | None, begun: datetime | None) -> Path:
    """Return the base that a restore to a moment, by default the last, starts from; raises NoBackup.

    No WAL leads from a base over a later restore, except over that of an attempt since `begun`, which is to
    be repeated.
    """
    base = newest(backups.bases, until)
    restores = [
        each for each in backups.closed() if moment_of(base) < each and (until is None or each < until)
    ]
    restores = [each for each in restores if begun is None or each < begun]
    if restores:
        raise NoBackup(
            f"{backups.bases} has no base newer than the restore at {restores[-1]}, and a restore to a later "
            f"moment needs one. Give a moment before {restores[0]} to go back to what the restore replaced."
        )
    return base
