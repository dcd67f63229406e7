"""The services of the release before run on this commit's schema, and an update under load loses nothing."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from signal import SIGTERM

import pytest
import pytest_asyncio

from contracts.wire.key_files import last_line
from deploy.local.services import environments, service_ports
from deploy.private_files import write_private
from sync_worker.settings import RENAMED
from tests.chaos.parts import Service, World
from tests.chassis.bus.one_account import running_one_account
from tests.deploy.earlier import BEFORE, Tree, tree_of
from tests.in_clear import in_clear
from tests.loading import UNLIMITED, Load
from tests.system.person import Person
from tests.waiting import until

# In this order each version of a service meets both versions of the others, there and back.
ORDER = ("vault-broker", "sync-worker", "gateway")
LOADED = [f"account-{number}" for number in range(20)]
SYNCS_PER_SECOND = 5.0
START_SECONDS = 60.0
END_SECONDS = 110.0


@dataclass
class Release:
    """The tree of a release whose services know no TLS, and their address of the bus."""

    tree: Tree
    bus: str = ""


@pytest.fixture(name="before", scope="module")
def _before(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release(tree_of(BEFORE, tmp_path_factory.mktemp("before")))


@pytest_asyncio.fixture(name="one_world", scope="module")
async def _one_world(one_world: World, before: Release) -> AsyncIterator[World]:
    """Replace today's services by those of the release before, and the bus by its one account for all.

    Today's services work with both configurations of the bus, and so are replaced before it
    (`tests/deploy/test_rolling.py`).
    """
    for name in ORDER:
        await one_world.services[name].close()
    await one_world.nats.end()
    await one_world.nats.enter(lambda processes: running_one_account(processes, one_world.directory))
    async with in_clear(one_world.parts.nats, "gateway") as before.bus:
        for name in ORDER:
            one_world.services[name] = of_release(one_world, before, name)
            await one_world.services[name].start()
        await until(one_world.ready, START_SECONDS)
        yield one_world


def of_release(world: World, release: Release, name: str) -> Service:
    """Describe a process of the release before, which has one port for everything, and earlier settings."""
    told = environments(world.parts, service_ports())[name] | UNLIMITED
    named_before = {old: told[new] for new, old in RENAMED.items() if new in told}
    # Its seeds were made by that release, without a line that says when.
    seed = last_line(world.parts.nats.seed_file(name).read_bytes())
    bare = write_private(world.directory / f"{name}.bare.nk", seed)
    other = {"OPERATIONS_PORT": told["PORT"], "NATS_URL": release.bus, "NATS_NKEY_FILE": str(bare)}
    return Service(world.directory, name, told | named_before | other, str(release.tree.python))


async def replace(world: World, successor: Service, person: Person) -> None:
    """Start a successor, let users call it once it is ready, and end the process before."""
    await successor.start()
    await until(successor.ready, START_SECONDS)
    predecessor, world.services[successor.name] = world.services[successor.name], successor
    if successor.name == "gateway":
        person.client.base_url = f"{successor.url}/api/v1"
    await predecessor.end(SIGTERM)


async def connects_and_syncs(person: Person, name: str) -> None:
    """Connect an account and read its balances."""
    account = (await person.connect(name))["id"]
    assert (await person.post(f"/accounts/{account}/sync", Prefer="wait=60"))["status"] == "completed"
    wallets = (await person.get(f"/accounts/{account}/balances"))["wallets"]
    assert any(wallet["balances"] for wallet in wallets)


async def test_the_release_before_runs_on_this_schema(world: World, before: Release, person: Person) -> None:
    """Its three services sign in, connect, sync and read with this commit's database, bus and vault."""
    for service in world.services.values():
        assert str(before.tree.python) in service.process.cmdline()

    await connects_and_syncs(person, "account-40")


async def test_an_update_and_the_way_back_lose_nothing(world: World, before: Release, person: Person) -> None:
    """Service by service under load, there and back: no request fails, and each sync is recorded once."""
    accounts = [(person, (await person.connect(name))["id"]) for name in LOADED]
    load = Load(accounts, SYNCS_PER_SECOND)
    fresh = (f"account-{number}" for number in range(41, 60))
    async with load.running():
        for name in ORDER:
            await replace(world, world.replica(name, **UNLIMITED), person)
            await connects_and_syncs(person, next(fresh))
        for name in ORDER:
            await replace(world, of_release(world, before, name), person)
            await connects_and_syncs(person, next(fresh))

    assert load.failed == {}
    await until(lambda: settled(world), END_SECONDS)
    outcomes = """select status, count(*), count(audit.id) from syncs
                  left join audit on audit.subject = syncs.id and action = 'sync_recorded'
                  where syncs.id = any(%s::uuid[]) group by status"""
    assert await world.rows(outcomes, [*load.accepted]) == [
        ("completed", len(load.accepted), len(load.accepted))
    ]


async def settled(world: World) -> bool:
    """Return whether no sync is queued."""
    return await world.rows("select 1 from syncs where status = 'queued' limit 1") == []
