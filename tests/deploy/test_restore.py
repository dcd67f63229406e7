"""A stack that was lost is restored from backups, each part alone and all together, to different moments."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from chassis.bus.connection import Bus
from contracts.credentials import Authorized, AuthorizeReply
from contracts.faults import Code
from deploy.backup.files import NoBackup, moment_of, newest
from deploy.backup.restore import Wanted, restore
from deploy.local.nats import Nats
from deploy.local.processes import PartFailed
from deploy.local.stack import Stack, running_stack
from deploy.vault.snapshots import SNAPSHOT
from tests.deploy.lives import calling, rows
from tests.deploy.losing import DELETED, DELETED_LATE, KEPT, ROTATED, Lost, living, lost_life
from tests.forking import ForkingProcesses
from tests.joining import bus_of
from tests.system.person import Person
from tests.vault_broker.asking import Gateway, Worker
from tests.waiting import until

DEADLINE_SECONDS = "15"
SETTLE_SECONDS = 40


@dataclass(frozen=True)
class Case:
    """The moments to which database and vault go back, and whether the streams are lost.

    `says` has what an account says before its next sync: whether it needs a key, and whether its state may be
    older than the user has seen. Accounts that are not named do not exist, as in the database of that moment.
    `orphans` counts the credentials of the vault that this database does not know.
    """

    says: dict[str, tuple[bool, bool]]
    database: str = ""
    vault: str = ""
    streams_lost: bool = False
    orphans: int = 0


NO_KEY = "credential_missing"
CASES = {
    "database": Case(
        {KEPT: (False, True), DELETED: (True, True), ROTATED: (True, True)}, database="early", orphans=1
    ),
    "vault": Case({KEPT: (False, False), ROTATED: (False, False)}, vault="late"),
    "streams": Case({KEPT: (False, False), ROTATED: (False, False)}, streams_lost=True),
    "all": Case(
        {KEPT: (False, True), DELETED: (True, True), ROTATED: (True, True)},
        database="early",
        vault="early",
        streams_lost=True,
    ),
    "the database before the vault": Case(
        {KEPT: (False, True), DELETED: (True, True), ROTATED: (True, True)},
        database="early",
        vault="late",
        orphans=1,
    ),
    "the vault before the database": Case(
        {KEPT: (False, True), DELETED_LATE: (True, True), ROTATED: (True, True)},
        database="late",
        vault="early",
    ),
}


@pytest_asyncio.fixture(name="lost", scope="module")
async def _lost(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lost]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SYNC_DEADLINE_SECONDS", DEADLINE_SECONDS)
        yield await lost_life(tmp_path_factory.mktemp("lost") / "stack")


@pytest.fixture(name="copy")
def _copy(lost: Lost) -> Iterator[Path]:
    """Return the folder as it was lost, at its path, which the vault keeps for its audit file."""
    kept = lost.directory.with_name("kept")
    if not kept.exists():
        lost.directory.rename(kept)
    subprocess.run(["/bin/cp", "-a", kept, lost.directory], check=True)
    yield lost.directory
    shutil.rmtree(lost.directory)


async def restored(lost: Lost, case: Case, copy: Path) -> list[str]:
    """Lose the streams, restore what the case says, and return the words of the command."""
    if case.streams_lost:
        shutil.rmtree(copy / "nats" / "jetstream")
    words: list[str] = []
    if case.database or case.vault:
        snapshot = newest(lost.backups.snapshots, lost.moments[case.vault]) if case.vault else None
        until_ = lost.moments[case.database] if case.database else None
        wanted = Wanted(lost.list, bool(case.database), until_, snapshot, destroy_orphans=True)
        await restore(ForkingProcesses(copy / "logs"), copy, lost.backups, wanted, words.append)
    return words


@pytest.mark.parametrize("name", CASES)
async def test_a_restored_stack_keeps_its_promises(lost: Lost, copy: Path, name: str) -> None:
    """Every sync ends once, no destroyed secret signs, and users learn what could not be restored."""
    case = CASES[name]
    words = " ".join(await restored(lost, case, copy))
    async with living(copy) as stack, calling(stack.api, lost.email) as person:
        await only_kept_secrets_sign(stack, lost, case)
        assert await told(person) == case.says
        await each_sync_ends_once(copy, lost)
        await syncs_go_on(person, case)
        await logins_end(person, lost, case)
        if case.database:
            open_then = await person.get(f"/syncs/{lost.under_way[case.database]}")
            assert open_then["restored_at"] is not None
    assert not words or f"{case.orphans} credentials in the vault that the database does not know" in words


async def told(person: Person) -> dict[str, tuple[bool, bool]]:
    """Return what each account says; its holdings say the same of the restore."""
    listed = await person.get("/accounts")
    for each in listed:
        holdings = await person.get(f"/accounts/{each['id']}/holdings")
        assert holdings["restored_at"] == each["restored_at"]
        assert not (holdings["restored_at"] and holdings["complete"])
    return {
        each["name"]: (each["last_error_code"] == NO_KEY, each["restored_at"] is not None) for each in listed
    }


async def each_sync_ends_once(directory: Path, lost: Lost) -> None:
    """Check that each sync in the database gets one recorded outcome, and those that had one keep it."""

    async def settled() -> bool:
        unfinished = "select id::text from syncs where status = 'queued' union select message_id from outbox"
        return not await rows(directory, unfinished)

    await until(settled, SETTLE_SECONDS)
    found = await rows(
        directory,
        """select id::text, status, (select count(*) from audit
               where action = 'sync_recorded' and subject = syncs.id) from syncs""",
    )
    assert {sync_id: count for sync_id, _, count in found if count != 1} == {}
    assert {status for sync_id, status, _ in found if sync_id in lost.completed} == {"completed"}


async def only_kept_secrets_sign(stack: Stack, lost: Lost, case: Case) -> None:
    """Check that the broker signs with the kept credential, and with none that was destroyed or orphaned."""
    gone = lost.destroyed | ({lost.known[ROTATED]} if case.orphans else set())
    async with joining(stack.parts.nats, "sync-worker", "worker") as bus:
        replies = {each: await _asked(lost, bus, each) for each in (lost.known[KEPT], *gone)}
    signing = {each for each, reply in replies.items() if isinstance(reply, Authorized)}
    assert signing == {lost.known[KEPT]}
    refused = [reply for each, reply in replies.items() if each not in signing]
    assert {getattr(reply, "code", None) for reply in refused} == {Code.CREDENTIAL_MISSING}


async def _asked(lost: Lost, bus: Bus, credential: UUID) -> AuthorizeReply:
    """Ask for signatures with a grant that a gateway could have signed."""
    key = load_pem_private_key((lost.directory / "keys" / "grant.pem").read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    worker, gateway = Worker(bus, _now), Gateway(bus, key, _now)
    return await worker.authorize(worker.request(credential, gateway.grant(credential)))


def _now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def joining(nats: Nats, user: str, role: str) -> AsyncIterator[Bus]:
    """Connect to the bus as a service."""
    bus = bus_of(nats, user, role)
    await bus.start()
    yield bus
    await bus.stop()


async def logins_end(person: Person, lost: Lost, case: Case) -> None:
    """Check that tokens of users and operators end with an older database, which may accept them again."""
    refreshed = await person.client.post("/auth/refresh", json={"refresh_token": lost.refresh_token})
    assert refreshed.status_code == (401 if case.database else 200)
    revoked = await rows(lost.directory, "select revoked_at is not null from operators")
    assert revoked == [(bool(case.database),)]


async def syncs_go_on(person: Person, case: Case) -> None:
    """Check that accounts with a key sync and are as new as ever, and that the others ask for one."""
    for account in await person.get("/accounts"):
        sync: dict[str, Any] = await person.post(f"/accounts/{account['id']}/sync")
        keyless = case.says[account["name"]][0]
        assert (sync["status"], sync["error_code"]) == (
            ("failed", NO_KEY) if keyless else ("completed", None)
        )
        balances = await person.get(f"/accounts/{account['id']}/balances")
        older = [each["restored_at"] is not None for each in balances["wallets"] if each["as_of"]]
        assert older == [keyless and bool(case.database)] * len(older)
        shown = await person.get(f"/accounts/{account['id']}")
        assert (shown["restored_at"] is not None) == (keyless and bool(case.database))


async def test_a_snapshot_is_younger_than_its_base(lost: Lost, copy: Path) -> None:
    """So it holds the key of each account of the base, however long either takes: the vault says when."""
    said = [json.loads(line) for line in (copy / "openbao" / "audit.log").read_text().splitlines()]
    asked = [
        datetime.fromisoformat(each["time"])
        for each in said
        if (each["type"], each["request"].get("path")) == ("request", SNAPSHOT)
    ]
    based = [moment_of(each) for each in sorted(lost.backups.bases.iterdir())]

    assert len(asked) == len(lost.moments)
    assert all(base < snapshot for base, snapshot in zip(based, asked, strict=True))


async def test_an_interrupted_restore_does_not_start(lost: Lost, copy: Path) -> None:
    """Without the list, or a base, nothing changes; after a later failure the stack refuses."""
    wanted = Wanted(copy / "missing", database=True)
    with pytest.raises(FileNotFoundError):
        await restore(ForkingProcesses(copy / "logs"), copy, lost.backups, wanted, print)
    assert not (copy / "restoring").exists()
    wanted = Wanted(lost.list, database=True, until=lost.moments["early"] - timedelta(days=1))
    with pytest.raises(NoBackup):
        await restore(ForkingProcesses(copy / "logs"), copy, lost.backups, wanted, print)
    assert not (copy / "restoring").exists()
    broken = copy / "broken"
    broken.write_bytes(b"not a snapshot")
    wanted = Wanted(lost.list, snapshot=broken)
    with pytest.raises(Exception, match="snapshot"):
        await restore(ForkingProcesses(copy / "logs"), copy, lost.backups, wanted, print)

    with pytest.raises(PartFailed, match="interrupted"):
        async with running_stack(copy, print, simulated=True):
            await asyncio.sleep(0)
