"""The data of an earlier commit exist after the update, and its unfinished work is done."""

import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
import pytest_asyncio

from deploy.local.nats import Nats
from deploy.local.openbao import TERMS
from deploy.local.ports import LOOPBACK, free_ports
from deploy.local.processes import Processes, Program
from deploy.vault.provision import FINGERPRINTS, pinned_fingerprints, state
from tests.deploy.earlier import BEFORE, TODAY, Tree, stopped, tree_of
from tests.deploy.lives import Amounts, Kept, amounts, broken_life, calling, on_bus, part, rows, settled_life
from tests.deploy.test_stack import Up
from tests.in_clear import in_clear
from tests.system.person import PASSWORD, Person
from tests.tapping import taken
from tests.waiting import until

# The last commit before the second review's changes to numbers, outcomes, attacks and texts.
EARLIEST = "4056124fcf218c158b28729316611ad777aa9867"
# The message of a killed process is redelivered after 30 s.
END_SECONDS = 100.0


@dataclass
class Updated:
    """Today's stack on the data of the commit before."""

    before: Tree
    running: Up
    directory: Path
    kept: Kept


@pytest_asyncio.fixture(name="updated", scope="module", params=[BEFORE, EARLIEST], ids=["before", "earliest"])
async def _updated(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Updated]:
    """Run the commit before, with a proper stop and a kill, and start today's stack on its data."""
    before = tree_of(request.param, tmp_path_factory.mktemp("before"))
    directory = tmp_path_factory.mktemp("update") / "butler"
    kept = await settled_life(before, directory)
    await broken_life(before, directory, kept)
    with TODAY.up(directory) as running:
        yield Updated(before, running, directory, kept)
        stopped(running)


@pytest_asyncio.fixture(name="person")
async def _person(updated: Updated) -> AsyncIterator[Person]:
    """Yield the user of the commit before, signed in again."""
    async with calling(updated.running.api, updated.kept.email) as person:
        yield person


def test_the_commit_before_runs_its_own_source(updated: Updated) -> None:
    """The interpreter of the earlier tree finds our packages only in that tree."""
    names = [
        "contracts",
        "gateway",
        "sync_worker",
        "vault_broker",
        "deploy.local.stack",
        "deploy.local.simulator.app",
    ]
    program = f"import importlib; [print(importlib.import_module(name).__file__) for name in {names}]"
    found = subprocess.run(
        [updated.before.python, "-c", program], capture_output=True, text=True, check=True, cwd="/"
    ).stdout

    assert [path for path in found.split() if not path.startswith(str(updated.before.path))] == []


def known_before(held: Amounts, now: Amounts) -> Amounts:
    """Return the wallets of today, but as never read those that the release before does not read.

    These are `earn`, and no other: whatever the release before has read must be as it was.
    """
    assert held.keys() == now.keys()
    return {
        wallet: None if wallet == "earn" and held[wallet] is None else listed
        for wallet, listed in now.items()
    }


async def test_what_was_kept_is_shown(updated: Updated, person: Person) -> None:
    """The accounts exist, with the amounts and the times that the commit before had read."""
    accounts = await person.get("/accounts")

    assert {account["id"] for account in accounts} == updated.kept.amounts.keys()
    for account, held in updated.kept.amounts.items():
        assert known_before(held, await amounts(person, account)) == held


async def test_a_user_stays_signed_in(updated: Updated, person: Person) -> None:
    """A refresh token of the commit before is exchanged; the password signs in again."""
    tokens = await person.post("/auth/refresh", {"refresh_token": updated.kept.refresh_token})

    assert tokens["access_token"] != person.tokens["access_token"]


@pytest.mark.parametrize("place", ["outcome in the stream", "request in the stream", "request in the outbox"])
async def test_what_was_left_undone_is_done(updated: Updated, person: Person, place: str) -> None:
    """A sync of the commit before ends complete, at whichever step its message was, and once."""
    sync_id = updated.kept.undone[place]

    async def ended() -> bool:
        return bool((await person.get(f"/syncs/{sync_id}"))["status"] != "queued")

    await until(ended, END_SECONDS)
    assert (await person.get(f"/syncs/{sync_id}"))["status"] == "completed"
    recorded = "select 1 from audit where action = 'sync_recorded' and subject = %s"
    assert len(await rows(updated.directory, recorded, sync_id)) == 1


async def test_a_new_sync_needs_no_new_credential(updated: Updated, person: Person) -> None:
    """The credentials of the commit before sign today's reads, and subscribers receive the outcome."""
    user = await person.get("/me")
    async with on_bus(updated.directory, "subscriber") as bus:
        events = await bus.subscribe(f"butler.account.synced.{user['id']}")
        await taken(bus)
        for account, held in updated.kept.amounts.items():
            sync = await person.post(f"/accounts/{account}/sync", Prefer="wait=60")

            assert sync["status"] == "completed"
            assert known_before(held, await amounts(person, account)) == held
            heard = [json.loads((await events.next_msg(timeout=10)).data)]
            while heard[-1]["sync_id"] != sync["sync_id"]:
                heard.append(json.loads((await events.next_msg(timeout=10)).data))
            assert heard[-1]["status"] == "completed"


@asynccontextmanager
async def gateway_before(updated: Updated) -> AsyncIterator[str]:
    """Run a gateway of the commit before beside today's, on its database and bus, and yield its address."""
    (port,) = free_ports(1)
    try:
        settings = part(updated.running, "gateway").environ() | {"PORT": str(port)}
    except psutil.AccessDenied:
        pytest.skip("a service hides its environment from its own user: only root can copy it")
    processes = Processes(updated.directory.with_name("logs-before"))
    address = f"http://{LOOPBACK}:{port}"
    async with (
        in_clear(Nats.of(updated.directory), "gateway") as settings["NATS_URL"],  # it knows no TLS
        processes.running(
            program := Program("gateway-before", [updated.before.python, "-m", "gateway"], settings)
        ),
        httpx.AsyncClient(timeout=5, trust_env=False) as client,
    ):

        async def ready() -> bool:
            try:
                return (await client.get(f"{address}/readyz")).is_success
            except httpx.TransportError:
                return False

        await processes.until(program.name, ready, END_SECONDS)
        yield address


async def test_the_gateway_before_reads_what_today_records(updated: Updated, person: Person) -> None:
    """While both run on one database, each shows the completed syncs and the amounts of the other."""
    async with gateway_before(updated) as address, calling(address, updated.kept.email) as earlier:
        for account in updated.kept.amounts:
            for caller in (person, earlier):
                sync = await caller.post(f"/accounts/{account}/sync", Prefer="wait=60")
                assert sync["status"] == "completed"
            listed = [await each.get(f"/accounts/{account}/syncs") for each in (person, earlier)]
            ids = [[sync["sync_id"] for sync in page["items"]] for page in listed]
            assert ids[0] == ids[1]
            shown_before = await amounts(earlier, account)
            assert known_before(shown_before, await amounts(person, account)) == shown_before
        shown = [await each.get("/accounts") for each in (person, earlier)]

    assert [account["id"] for account in shown[0]] == [account["id"] for account in shown[1]]


async def test_a_key_submitted_at_the_gateway_before_is_kept_and_used(updated: Updated) -> None:
    """It pins no keys and signs no Store: while both run, its users connect and sync as before."""
    async with gateway_before(updated) as address, calling(address) as newcomer:
        account = await newcomer.connect("plain")
        assert (await newcomer.post(f"/accounts/{account['id']}/sync", Prefer="wait=60"))[
            "status"
        ] == "completed"


def test_the_vault_is_provisioned_for_today(updated: Updated) -> None:
    """The gateway runs with the written fingerprints, and no provisioning is due."""
    settings = part(updated.running, "gateway").environ()
    written = pinned_fingerprints(updated.directory / "openbao" / "fingerprints.env")

    assert {name: settings[name] for name in FINGERPRINTS} == dict(written)
    assert (updated.directory / "openbao" / "provisioned").read_bytes() == state(TERMS)


async def test_the_gateway_before_knows_no_deleted_user(updated: Updated) -> None:
    """Logins and tokens work at both; a user who is deleted at today's is unknown to both."""
    async with gateway_before(updated) as address, calling(address) as earlier:
        token = earlier.tokens["refresh_token"]
        async with calling(updated.running.api, earlier.email) as today:
            assert [each["current"] for each in await today.get("/me/sessions")] == [True, False]
            for person in (today, earlier):
                token = (await person.post("/auth/refresh", {"refresh_token": token}))["refresh_token"]

            await today.post("/me/deletion", {"password": PASSWORD}, 204)

        await earlier.get("/me", 401)
        await earlier.post("/auth/refresh", {"refresh_token": token}, 401)
        await earlier.post("/auth/login", {"email": earlier.email, "password": PASSWORD}, 401)
        await earlier.sign_up()
