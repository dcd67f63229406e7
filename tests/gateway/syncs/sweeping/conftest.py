"""A sweeper with its relay on a separate bus and database; the test plays the workers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from uuid import UUID

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import NotFoundError

from chassis.bus.connection import Bus
from chassis.bus.consume import consume
from chassis.bus.provision import create_streams
from contracts.wire.key_files import SigningKeys
from contracts.wire.topology import OUTCOMES_CONSUMER, STREAMS
from deploy.local.nats import Nats, running_nats
from deploy.local.postgres import Postgres, running_postgres
from deploy.local.processes import Processes
from gateway.outbox.relay import Relay
from gateway.store import accounts, outbox, syncs
from gateway.store.pool import Pool
from gateway.syncs.messages import sync_request
from gateway.syncs.outcomes import Outcomes
from gateway.syncs.progress import Progress
from gateway.syncs.recorder import Recorder
from gateway.syncs.sweeper import LATEST_SECONDS, Patience, Sweeper
from tests.gateway.conftest import announcing
from tests.joining import bus_of, joined
from tests.system.test_sweeper import run
from tests.waiting import until

# After half of it, 0.4 s, the sweeper looks for a lost request.
DEADLINE_SECONDS = 0.8
ACCOUNTS = """
    with person as (
        insert into users (id, email, password_hash) values (gen_random_uuid(), gen_random_uuid()::text, '')
        returning id),
    kept as (
        insert into credentials (id, user_id, exchange, state)
        select gen_random_uuid(), person.id, 'okx', 'live' from person, generate_series(1, %s)
        returning id, user_id)
    insert into accounts (id, user_id, exchange, region, name, credential_id, exchange_uid, master_uid,
                          permissions, ip_bound, api_key_hint)
    select gen_random_uuid(), user_id, 'okx', 'global', 'one', id, id::text, '1', '{read_only}', false, ''
    from kept returning id
"""
SYNCS = """
    insert into syncs (id, user_id, account_id, exchange, deadline)
    select gen_random_uuid(), user_id, id, 'okx', now() + make_interval(secs => %s) from accounts
    where id = any(%s) returning id
"""


@dataclass
class Sweeping:
    """The parts of a gateway for sweeping, and the administrator's connection to the bus."""

    database: Postgres
    nats: Nats
    pool: Pool
    bus: Bus
    admin: Client
    key: Ed25519PrivateKey

    @property
    def relay(self) -> Relay:
        """Return a relay."""
        return Relay(self.pool, self.bus)

    def sweeper(self, deadline: float = DEADLINE_SECONDS, latest: float = LATEST_SECONDS) -> Sweeper:
        """Return the sweeper of a newly started gateway."""
        return Sweeper(self.pool, self.relay, self.key, Patience(deadline, latest), Progress(self.bus))

    async def rows(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        """Run a statement as the superuser."""
        return await run(self.database, statement, *values)

    async def opened(self, count: int = 1, seconds: float = 120) -> list[UUID]:
        """Open syncs, each of its own account, with so many seconds left."""
        connected = [row[0] for row in await self.rows(ACCOUNTS, count)]
        return [UUID(str(row[0])) for row in await self.rows(SYNCS, seconds, connected)]

    async def requested(self, count: int = 1) -> list[UUID]:
        """Open syncs whose requests wait in the outbox."""
        opened = await self.opened(count)
        async with self.pool.transaction() as connection:
            for sync_id in opened:
                ((user_id,),) = await self.rows("select user_id from syncs where id = %s", sync_id)
                sync = await syncs.find_sync(connection, UUID(str(user_id)), sync_id)
                assert sync is not None
                account = await accounts.find_account(connection, sync.user_id, sync.account_id)
                assert account is not None
                request = sync_request(sync, account, self.key)
                assert request is not None
                await outbox.put(connection, request)
        return opened

    async def published(self, count: int = 1) -> list[UUID]:
        """Open syncs with requests in the stream, and leave them silent for 3/4 of the deadline."""
        opened = await self.requested(count)
        await until(self.relayed)
        await until(self.silent)
        return opened

    async def relayed(self) -> bool:
        """Return whether the outbox is empty."""
        return await self.rows("select 1 from outbox limit 1") == []

    async def silent(self) -> bool:
        """Return whether every open sync has been silent for three quarters of the deadline."""
        query = """select 1 from syncs where status = 'queued'
                   and published_at > clock_timestamp() - make_interval(secs => %s)"""
        return await self.rows(query, DEADLINE_SECONDS * 0.75) == []

    async def state(self, stream: str) -> tuple[int, int]:
        """Return a stream's number of messages, and its last sequence number."""
        state = (await self.admin.jetstream().stream_info(stream)).state
        return state.messages, state.last_seq

    async def publications(self) -> list[int]:
        """Return how often each request was published."""
        return [int(str(row[0])) for row in await self.rows("select publications from syncs")]

    async def delivered(self, stream: str, consumer: str, count: int) -> list[Msg]:
        """Take messages as another replica does that has not settled them yet."""
        pulling = await self.admin.jetstream().pull_subscribe_bind(consumer, stream=stream)
        messages: list[Msg] = []
        while len(messages) < count:
            messages += await pulling.fetch(count - len(messages), timeout=5)
        return messages

    @asynccontextmanager
    async def recording(self, keys: SigningKeys | None = None) -> AsyncIterator[None]:
        """Let a gateway record outcomes, with these keys for grants."""
        bus = bus_of(self.nats, "gateway")
        announcer = announcing(self.pool, bus)
        outcomes = Outcomes(
            self.pool, announcer, self.relay, Recorder(self.pool, self.relay), keys or SigningKeys(self.key)
        )
        consume(bus, OUTCOMES_CONSUMER, outcomes.on_sync_outcome, 64, outcomes.on_buried)
        await bus.start()
        try:
            yield
        finally:
            await bus.stop()


@asynccontextmanager
async def sweeping_on(database: Postgres, pool: Pool, nats: Nats) -> AsyncIterator[Sweeping]:
    """Yield the parts on recreated streams, with a running relay."""
    bus = bus_of(nats, "gateway")
    await bus.start()
    async with await joined(nats, "admin", reconnect_time_wait=0.2) as admin:
        for stream in STREAMS:
            with suppress(NotFoundError):
                await admin.jetstream().delete_stream(str(stream.name))
        await create_streams(admin.jetstream())
        sweeping = Sweeping(database, nats, pool, bus, admin, Ed25519PrivateKey.generate())
        await sweeping.rows("select setval('outbox_id_seq', 1, false)")
        relaying = asyncio.create_task(sweeping.relay.run())
        yield sweeping
        relaying.cancel()
        await asyncio.wait([relaying])
    await bus.stop()


@pytest_asyncio.fixture(name="nats", scope="package")
async def _nats(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nats]:
    directory = tmp_path_factory.mktemp("own-bus")
    async with running_nats(Processes(directory / "logs"), directory) as nats:
        yield nats


@pytest_asyncio.fixture(name="database", scope="package")
async def _database(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Postgres]:
    directory = tmp_path_factory.mktemp("own-database")
    async with running_postgres(Processes(directory / "logs"), directory) as database:
        yield database


@pytest_asyncio.fixture(name="sweeping")
async def _sweeping(clean_database: Postgres, pool: Pool, nats: Nats) -> AsyncIterator[Sweeping]:
    """Yield the parts with empty tables and streams."""
    async with sweeping_on(clean_database, pool, nats) as sweeping:
        yield sweeping
