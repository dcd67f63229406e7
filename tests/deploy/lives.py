"""An earlier commit's user and stack: one run that was stopped properly, and one that was killed."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP
from typing import Any

import httpx
import nats as nats_client
import psutil
from nats.aio.client import Client

from deploy.bus_keys import seed as seed_of
from deploy.local.nats import Nats
from deploy.local.ports import LOOPBACK
from deploy.local.postgres import SUPERUSER, Postgres
from deploy.local.sockets import PORT
from tests.deploy.earlier import Tree, stopped
from tests.deploy.test_stack import Up
from tests.joining import secured
from tests.system.person import CALL_SECONDS, PASSWORD, Person
from tests.waiting import passed, until

ACCOUNTS = ("plain", "margin", "sub-account")
# The pull requests of a suspended process expire within this time.
ASKED_SECONDS = 1.5
REQUESTS, OUTCOMES = ("SYNC_REQUESTS", "sync-worker-okx"), ("SYNC_OUTCOMES", "gateway")

Amounts = dict[str, Any]


@dataclass
class Kept:
    """A user's state in the stack of the commit before: numbers, tokens, and syncs without outcome."""

    email: str
    refresh_token: str
    amounts: dict[str, Amounts]
    undone: dict[str, str] = field(default_factory=dict)


@asynccontextmanager
async def calling(api: str, email: str | None = None) -> AsyncIterator[Person]:
    """Yield a signed-in user at an API: a new one, or one who registered before."""
    async with httpx.AsyncClient(base_url=f"{api}/api/v1", timeout=CALL_SECONDS, trust_env=False) as client:
        person = Person(client)
        if email is None:
            await person.sign_up()
        else:
            person.email = email
            person.tokens = await person.post("/auth/login", {"email": email, "password": PASSWORD})
            client.headers["Authorization"] = f"Bearer {person.tokens['access_token']}"
        yield person


@asynccontextmanager
async def on_bus(directory: Path, user: str) -> AsyncIterator[Client]:
    """Connect to the bus of a stack as a user of it."""
    url = f"nats://{LOOPBACK}:{(directory / 'nats' / 'port').read_text()}"
    keys = directory / "keys"
    # An earlier release's stack has no certificates.
    options = secured(Nats.of(directory), user) if (keys / "nats").exists() else {}
    async with await nats_client.connect(
        url, nkeys_seed_str=seed_of(keys / f"{user}.nk"), **options
    ) as client:
        yield client


def database(directory: Path) -> Postgres:
    """Return the database of a stack."""
    port, sockets = directory / "postgres" / "port", directory / "postgres" / "sockets"
    if port.exists():  # an earlier version
        return Postgres(int(port.read_text()), directory / "keys")
    return Postgres(PORT, directory / "keys", sockets)


async def rows(directory: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Run a query as the superuser."""
    async with await database(directory).connect(SUPERUSER) as connection:
        return await (await connection.execute(query.encode(), values)).fetchall()


async def amounts(person: Person, account_id: str) -> Amounts:
    """Return the amounts of each wallet, None if it was never read."""
    wallets = (await person.get(f"/accounts/{account_id}/balances"))["wallets"]
    return {
        wallet["wallet"]: wallet["balances"] and {row["asset"]: row["total"] for row in wallet["balances"]}
        for wallet in wallets
    }


def part(running: Up, word: str) -> psutil.Process:
    """Find a process of a stack by the last part of a word of its command line."""
    return next(each for each in running.parts if word in [Path(said).name for said in each.cmdline()])


@contextmanager
def held(running: Up, *words: str) -> Iterator[None]:
    """Suspend processes of a stack."""
    processes = [part(running, word) for word in words]
    for process in processes:
        process.send_signal(SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(SIGCONT)


async def settled_life(before: Tree, directory: Path) -> Kept:
    """Register, connect and sync accounts, and stop the stack properly."""
    with before.up(directory) as running:
        async with calling(running.api) as person:
            accounts = [(await person.connect(name))["id"] for name in ACCOUNTS]
            for account in accounts:
                assert (await person.post(f"/accounts/{account}/sync"))["status"] == "completed"
            shown = {account: await amounts(person, account) for account in accounts}
            kept = Kept(person.email, person.tokens["refresh_token"], shown)
        stopped(running)
    return kept


async def broken_life(before: Tree, directory: Path, kept: Kept) -> None:
    """Request a sync for each account, and kill the stack while each is at another step."""
    with before.up(directory) as running:
        async with (
            calling(running.api, kept.email) as person,
            on_bus(directory, "admin") as bus,
            AsyncExitStack() as until_killed,
        ):
            first, second, third = kept.amounts
            with held(running, "deploy.local.simulator"):
                kept.undone["outcome in the stream"] = await requested(person, first)
                await until(lambda: pending(bus, *REQUESTS))
                await lock(until_killed, directory, first)
            await until(lambda: pending(bus, *OUTCOMES))
            with held(running, "sync_worker"):
                await until(passed(ASKED_SECONDS))
                kept.undone["request in the stream"] = await requested(person, second)
                await until(lambda: stored(bus, REQUESTS[0]))
                with held(running, "nats-server"):
                    kept.undone["request in the outbox"] = await requested(person, third)
                    running.starter.send_signal(SIGKILL)
                    running.assert_all_gone()


async def lock(stack: AsyncExitStack, directory: Path, account: str) -> None:
    """Block the recording of an account's outcomes, until the stack stops or the database ends."""
    connection = await database(directory).connect(SUPERUSER)
    stack.push_async_callback(connection.close)
    await connection.execute("begin")
    await connection.execute("select from accounts where id = %s for update", [account])


async def requested(person: Person, account: str) -> str:
    """Request a sync and return its id."""
    sync = await person.post(f"/accounts/{account}/sync", status=202, Prefer="respond-async")
    return str(sync["sync_id"])


async def pending(bus: Client, stream: str, consumer: str) -> bool:
    """Return whether a message was delivered and is not settled."""
    return bool((await bus.jetstream().consumer_info(stream, consumer)).num_ack_pending)


async def stored(bus: Client, stream: str) -> bool:
    """Return whether a stream holds messages."""
    return bool((await bus.jetstream().stream_info(stream)).state.messages)
