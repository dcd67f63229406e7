"""One service at a time has a wrong clock: ten seconds change nothing, more is named and costs no sync."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from nats.aio.client import Client

from chassis.clocks import DISAGREES
from deploy.simulator.okx.accounts import load_accounts
from tests.chaos.parts import Service, World
from tests.chaos.skewed import named, needs_faketime, offsets, replaced, serves, settings
from tests.system.person import CALL_SECONDS, PASSWORD, Person
from tests.waiting import until

pytestmark = needs_faketime

SERVICES = ("gateway", "sync-worker", "vault-broker")
SLIGHT = (-10, 10)
FAR = (-3600, -90, 90, 3600)
OTHERS = {"gateway": ("nats", "database"), "sync-worker": ("nats", "okx"), "vault-broker": ("vault",)}
END_SECONDS = 60.0


@asynccontextmanager
async def at(world: World, gateway: Service) -> AsyncIterator[Person]:
    """Yield a new person at a gateway."""
    async with httpx.AsyncClient(
        base_url=f"{gateway.url}/api/v1", timeout=CALL_SECONDS, trust_env=False
    ) as client:
        person = Person(client, load_accounts(world.directory / "accounts.toml"))
        await person.sign_up()
        yield person


async def syncs(person: Person) -> None:
    """Connect an account and sync it; the numbers must be as old as they say."""
    began = datetime.now(UTC)
    account = await person.connect("account-41")
    sync = await person.post(f"/accounts/{account['id']}/sync")
    assert (sync["success"], sync["status"], sync["holdings_count"]) == (True, "completed", 2), sync
    balances = await person.get(f"/accounts/{account['id']}/balances")
    for wallet in balances["wallets"]:
        if wallet["as_of"] is not None:
            as_of = datetime.fromisoformat(wallet["as_of"])
            assert began - timedelta(seconds=1) < as_of < datetime.now(UTC) + timedelta(seconds=1)


@pytest.mark.parametrize("seconds", SLIGHT)
@pytest.mark.parametrize("name", SERVICES)
async def test_ten_seconds_change_nothing(world: World, name: str, seconds: int) -> None:
    """An account is connected and synced, nothing is named, and the offset is in the metrics."""
    async with replaced(world, name, seconds) as wrong, at(world, world.services["gateway"]) as person:
        await syncs(person)

        async def measured() -> bool:
            told = await offsets(wrong)
            return all(abs(told.get(clock, 0.0) + seconds) < 3 for clock in OTHERS[name])

        await until(measured)
        assert await wrong.ready()
        assert f'"{DISAGREES}"' not in wrong.log.read_text()


@pytest.mark.parametrize("seconds", FAR)
@pytest.mark.parametrize("name", ["gateway", "sync-worker"])
async def test_a_wrong_clock_is_named_and_costs_no_sync(world: World, name: str, seconds: int) -> None:
    """Two other clocks prove it wrong, which is not ready for; durations and other clocks do the work."""
    async with replaced(world, name, seconds) as wrong, at(world, world.services["gateway"]) as person:
        await syncs(person)
        await named(wrong, seconds, *OTHERS[name])

        assert await wrong.not_ready() == [DISAGREES]


@pytest.mark.parametrize("seconds", FAR)
async def test_a_broker_with_a_wrong_clock_returns_what_it_can_not_judge(
    world: World, person: Person, bus: Client, seconds: int
) -> None:
    """One other clock proves nothing: it is degraded, refuses by that name, another broker ends the sync."""
    account = await person.connect("account-42")
    async with replaced(world, "vault-broker", seconds) as wrong:
        await named(wrong, seconds, "vault")
        refused = await person.connect("account-43", status=503)
        sync = await person.post(f"/accounts/{account['id']}/sync", status=202, Prefer="respond-async")

        async def returned() -> bool:
            info = await bus.jetstream().consumer_info("SYNC_REQUESTS", "sync-worker-okx")
            return bool(info.num_redelivered)

        await until(returned, END_SECONDS)
        assert refused["code"] == DISAGREES
        assert await wrong.not_ready() == []
        assert DISAGREES in await wrong.degraded()

    async def ended() -> bool:
        shown = await person.get(f"/syncs/{sync['sync_id']}")
        return shown["success"] is True

    await until(ended, END_SECONDS)


@pytest.mark.parametrize("seconds", [-3600, 90])
async def test_a_sync_that_no_broker_can_sign_for_says_why(
    world: World, person: Person, seconds: int
) -> None:
    """Without another broker it ends before its deadline, as clock_disagrees and not as deadline_exceeded."""
    account = await person.connect("account-44")
    async with (
        replaced(world, "vault-broker", seconds),
        replaced(world, "gateway", 0, SYNC_DEADLINE_SECONDS="15"),
    ):
        person.client.base_url = httpx.URL(f"{world.services['gateway'].url}/api/v1")
        sync = await person.post(f"/accounts/{account['id']}/sync", Prefer="wait=30")

    assert (sync["status"], sync["error_code"]) == ("failed", DISAGREES), sync


@pytest.mark.parametrize("seconds", [-3600, 90])
async def test_gateways_take_each_others_tokens(world: World, person: Person, seconds: int) -> None:
    """Tokens are of the database's time: one whose clock is wrong issues and takes them like any other."""
    wrong = world.replica("gateway", **settings(seconds))
    await wrong.start()
    try:
        await until(lambda: serves(wrong), END_SECONDS)
        async with at(world, wrong) as other:
            token = other.tokens["access_token"]
            for url, tokens in (
                (person.client.base_url, token),
                (other.client.base_url, person.tokens["access_token"]),
            ):
                answer = await other.client.get(f"{url}me", headers={"Authorization": f"Bearer {tokens}"})
                assert answer.is_success, answer.text
            login = {"email": other.email, "password": PASSWORD}
            assert (await person.client.post("/auth/login", json=login)).is_success
    finally:
        await wrong.close()
