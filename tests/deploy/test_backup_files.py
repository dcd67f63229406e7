"""The files of backups belong together: a base and its WAL, and the list of destroyed credentials."""

import os
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from uuid import uuid4

import pytest

from deploy.backup.database import receiving_wal, recover, take_base
from deploy.backup.destroyed import Destroyed, NotTheList, listed
from deploy.backup.files import Backups, NoBackup, base_until, newest, stamp
from deploy.local.certificates import make_authority
from deploy.local.confinement import USERS, best_way
from deploy.local.openbao import server_certificate
from deploy.local.postgres import SUPERUSER, Postgres, running_postgres
from deploy.local.processes import Processes
from deploy.local.sockets import NotOurs, sockets_of
from deploy.private_files import private_folder
from tests.waiting import until

START = datetime(2026, 11, 28, tzinfo=UTC)


def at(hours: float) -> datetime:
    """Return a moment."""
    return START + timedelta(hours=hours)


def based(backups: Backups, *hours: float) -> list[Path]:
    """Make empty bases."""
    bases = [backups.bases / stamp(at(each)) for each in hours]
    for base in bases:
        base.mkdir()
    return bases


@pytest.mark.parametrize(
    ("until_", "begun", "base"),
    [(None, None, None), (4.0, None, None), (2.5, None, 1), (0.5, None, 0), (None, 2.9, 1)],
)
def test_a_restore_takes_no_base_over_another_restore(
    tmp_path: Path, until_: float | None, begun: float | None, base: int | None
) -> None:
    """The WAL since the last restore does not follow an older base; an attempt may be repeated."""
    backups = Backups(tmp_path)
    bases = based(backups, 0, 2)
    backups.close_wal(at(3))
    moments = [None if each is None else at(each) for each in (until_, begun)]

    if base is None:
        with pytest.raises(NoBackup, match="restore at 2026-11-28 03"):
            base_until(backups, *moments)
    else:
        assert base_until(backups, *moments) == bases[base]


def test_a_base_has_the_wal_up_to_the_restore_after_it(tmp_path: Path) -> None:
    """Each restore closes the folder for the bases that are older than it."""
    backups = Backups(tmp_path)
    bases = based(backups, 0, 2, 4)
    for each in (1, 3):
        backups.close_wal(at(each))

    folders = [backups.wal_of(base).name for base in bases]

    assert folders == [f"wal.{stamp(at(1))}", f"wal.{stamp(at(3))}", "wal"]


def test_foreign_names_are_no_backups(tmp_path: Path) -> None:
    """A disk and a desktop leave files of their own."""
    backups = Backups(tmp_path)
    (base,) = based(backups, 0)
    for name in ("lost+found", ".DS_Store", "base.new"):
        (backups.bases / name).mkdir()

    assert newest(backups.bases, None) == base


def test_another_file_is_not_the_list(tmp_path: Path) -> None:
    """A restore does not take an empty or foreign file for a list without ids."""
    foreign = tmp_path / "foreign"
    foreign.write_text(f"{uuid4()}\n")
    for file in (Path("/dev/null"), foreign):
        with pytest.raises(NotTheList):
            listed(file)


@pytest.mark.parametrize("loss", ["gone", "another", "shorter"])
def test_a_list_that_disappears_is_told(tmp_path: Path, loss: str) -> None:
    """Ids that were written are not lost in silence."""
    file, ids = tmp_path / "list", [uuid4(), uuid4()]
    with closing(Destroyed(file)) as notes:
        notes._add(ids)
        assert listed(file) == {*ids}
        content = file.read_text()
        if loss != "shorter":
            file.unlink()
        if loss != "gone":
            file.write_text(content if loss == "another" else content[:-40])

        with pytest.raises(OSError, match="list"):
            notes._add([])


def test_a_certificate_is_public_and_its_key_is_not(tmp_path: Path) -> None:
    """The modes are those of the files that were written."""
    made = make_authority(tmp_path, "test")
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (made.certificate_path, made.key_path)]
    assert modes == [0o644, 0o600]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to other users")
def test_the_vault_does_not_keep_its_authoritys_key(tmp_path: Path) -> None:
    """Files that an earlier restore gave to the server's user are root's again."""
    tls = tmp_path / "openbao" / "tls"
    made = make_authority(tls, "test")
    for path in (made.key_path, tls):
        os.chown(path, USERS["openbao"], USERS["openbao"])

    server_certificate(best_way(), tmp_path)

    assert {path.stat().st_uid for path in (tls, *tls.iterdir())} == {0}


def test_sockets_behind_a_link_are_not_ours(tmp_path: Path) -> None:
    """The superuser's password goes to no server that another user put in place."""
    home, elsewhere = tmp_path / "postgres", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    link = sockets_of(home)  # elsewhere if the path of this test is long
    link.symlink_to(elsewhere)
    with pytest.raises(NotOurs):
        Postgres.of(tmp_path)
    link.unlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to other users")
def test_sockets_of_another_user_are_not_ours(tmp_path: Path) -> None:
    """Another user may have made the folder, where the path in the folder for temporary files is known."""
    folder = private_folder(sockets_of(tmp_path / "postgres"))
    for owner, refused in ((os.geteuid(), nullcontext()), (USERS["openbao"], pytest.raises(NotOurs))):
        os.chown(folder, owner, owner)
        with refused:
            Postgres.of(tmp_path)
    folder.rmdir()


async def test_a_second_restore_brings_back_none_of_what_the_first_discarded(tmp_path: Path) -> None:
    """After a restore to a moment, the WAL and a new base follow its branch, and an old base has its own."""
    # The path of the data is too long for a socket in it.
    directory, backups = tmp_path / ("deep" * 20), Backups(tmp_path / "backups")
    processes = Processes(directory / "logs")
    async with _followed(processes, directory, backups) as server:
        await take_base(processes, server, backups)
        await _say(server, "first")
        moment = datetime.now(UTC)
        await _say(server, "discarded")
    base = base_until(backups, moment, None)
    with modes(directory / "postgres" / "data.new") as seen:
        await recover(processes, directory, backups, base, moment)
    assert seen == {0o700}, "others read the data while they are written"
    base.chmod(0o755)  # a copy on another disk may be; the server refuses such data
    async with _followed(processes, directory, backups) as server:
        assert await _said(server) == ["first"]
        with pytest.raises(NoBackup):
            base_until(backups, None, None)
        await take_base(processes, server, backups)
        await _say(server, "new")
    await recover(processes, directory, backups, base_until(backups, None, None), None)
    async with running_postgres(processes, directory) as server:
        assert await _said(server) == ["first", "new"]
    old = base_until(backups, moment, None)
    await recover(processes, directory, backups, old, None)
    async with running_postgres(processes, directory) as server:
        assert await _said(server) == ["first", "discarded"]


@contextmanager
def modes(folder: Path) -> Iterator[set[int]]:
    """Yield the modes that a folder has meanwhile, as another program sees them."""
    seen, over = set[int](), Event()

    def look() -> None:
        while not over.wait(0.001):
            with suppress(FileNotFoundError):
                seen.add(stat.S_IMODE(folder.stat().st_mode))

    looking = Thread(target=look)
    looking.start()
    try:
        yield seen
    finally:
        over.set()
        looking.join()


@asynccontextmanager
async def _followed(processes: Processes, directory: Path, backups: Backups) -> AsyncIterator[Postgres]:
    """Run the database, its WAL written to the backups up to the end."""
    async with (
        running_postgres(processes, directory) as server,
        receiving_wal(processes, server, backups),
        await server.connect(SUPERUSER) as connection,
    ):
        await connection.execute("create table if not exists said (word text)")

        async def received() -> bool:
            found = await connection.execute(
                "select 1 from pg_stat_replication where flush_lsn >= pg_current_wal_flush_lsn()"
            )
            return bool(await found.fetchone())

        await until(received)
        yield server
        await until(received)


async def _say(server: Postgres, word: str) -> None:
    async with await server.connect(SUPERUSER) as connection:
        await connection.execute("insert into said values (%s)", [word])


async def _said(server: Postgres) -> list[object]:
    async with await server.connect(SUPERUSER) as connection:
        found = await connection.execute("select word from said order by ctid")
        return [word for (word,) in await found.fetchall()]
