"""A group of syncs that are requested at once at three gateways, and what must stand of them at the end."""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import httpx
from nats.aio.client import Client

from contracts.wire.topology import ACK_WAIT
from tests.chaos.parts import World
from tests.system.person import Person
from tests.waiting import until

REQUESTS, OUTCOMES, EVENTS = "SYNC_REQUESTS", "SYNC_OUTCOMES", "ACCOUNT_EVENTS"
STREAMS = (REQUESTS, OUTCOMES, EVENTS)
CONSUMERS = {REQUESTS: "sync-worker-okx", OUTCOMES: "gateway"}
END_SECONDS = 30
SOON = 1.0


class Group:
    """Syncs that are requested at once; the place of an account decides which gateway is asked.

    Of the accounts, the first `size` have a user each with an address, as does `free`: a transaction that
    accepts a request locks the counters of both. The others have one user, who requests their syncs as a
    batch. `last` is the last sequence of each stream before the first request.
    """

    def __init__(
        self, world: World, bus: Client, owners: Mapping[str, Person], gateways: Sequence[str], size: int
    ) -> None:
        self._world, self._bus, self._owners = world, bus, owners
        self._urls = [f"{world.services[name].url}/api/v1" for name in gateways]
        self.accounts, (self.free, *of_one) = [*owners][:size], [*owners][size:]
        self._owner_of_many = owners[of_one[0]]
        self._keys = {account: str(uuid4()) for account in owners}
        self.accepted: dict[str, str] = {}
        self.last: dict[str, int] = {}
        self._before = 0

    async def begin(self) -> None:
        """Note what the system has had before the group."""
        self.last = {stream: await last(self._bus, stream) for stream in STREAMS}
        self._before = await self.count("syncs")  # all of them have ended

    def of(self, gateway: int) -> list[str]:
        """Return the accounts whose syncs a gateway is asked for."""
        return self.accounts[gateway :: len(self._urls)]

    async def request(self, accounts: Sequence[str], gateway: int | None = None) -> None:
        """Request a sync of each account at once, each at its gateway or all at one, with a key of its own.

        A request whose gateway dies is not accepted, or not known to be.
        """
        await asyncio.gather(*(self._request(account, gateway) for account in accounts))

    async def _request(self, account: str, gateway: int | None) -> None:
        place = self.accounts.index(account) % len(self._urls) if gateway is None else gateway
        path = f"/accounts/{account}/sync"
        sync = await self._posted(place, path, self._owners[account], self._keys[account])
        if sync is not None:
            self.accepted[account] = sync["sync_id"]

    async def request_batch(self, gateway: int) -> None:
        """Request the syncs of all accounts of the user with many accounts, as one batch."""
        person, key = self._owner_of_many, self._keys[self.free]
        batch = await self._posted(gateway, "/accounts/sync-all", person, key)
        for sync in batch["results"] if batch is not None else []:
            self.accepted[sync["account_id"]] = sync["sync_id"]

    async def _posted(self, gateway: int, path: str, person: Person, key: str) -> Any:
        """Send a POST and return the response, None from a gateway that dies."""
        headers = {"Prefer": "respond-async", "Idempotency-Key": key}
        try:
            answer = await person.client.post(f"{self._urls[gateway]}{path}", headers=headers)
        except httpx.TransportError:
            return None
        assert answer.is_success, answer.text
        return answer.json()

    async def come(self, stream: str, number: int) -> None:
        """Wait until a stream has so many messages of the group; fails if it has more."""

        async def there() -> bool:
            had = await self.had(stream)
            assert had <= number, f"{had} messages in {stream}"
            return had == number

        await until(there)

    async def had(self, stream: str) -> int:
        """Return how many messages a stream has stored since the begin."""
        return await last(self._bus, stream) - self.last[stream]

    async def count(self, rows: str) -> int:
        """Count the rows of a table, which may have a condition; of syncs, those of the group."""
        ((count,),) = await self._world.rows(f"select count(*) from {rows}")  # noqa: S608 - constants
        assert isinstance(count, int)
        return count - (self._before if rows.startswith("syncs") else 0)

    async def counts(self, rows: str, number: int) -> None:
        """Wait until there are so many rows."""

        async def there() -> bool:
            return await self.count(rows) == number

        await until(there)

    async def ended_once(self) -> None:
        """Check that each sync stands once everywhere, with its reads, and that nothing is left to do.

        Meanwhile the messages of a dead process are delivered again soon.
        """
        for stream, consumer in CONSUMERS.items():
            await redeliver(self._bus, stream, consumer, SOON)
        await until(self._settled, END_SECONDS)
        for stream, consumer in CONSUMERS.items():
            await redeliver(self._bus, stream, consumer, ACK_WAIT)
        query = """select id::text, status, publications, (select count(*) from audit
                       where action = 'sync_recorded' and subject = syncs.id)
                   from syncs order by number offset %s"""
        rows = await self._world.rows(query, self._before)
        assert {row[1:] for row in rows} == {("completed", 1, 1)}  # the sweeper would end them as failed
        syncs = {str(sync_id) for sync_id, *_ in rows}
        assert syncs == {*self.accepted.values()}
        assert await self.had(REQUESTS) == len(syncs)
        for stream in (OUTCOMES, EVENTS):
            assert await self._stored(stream) == Counter(syncs), stream

    async def _settled(self) -> bool:
        """Return whether no sync is open, and no message waits to be published or handled."""
        open_syncs = "select 1 from syncs where status = 'queued' union all select 1 from outbox"
        if await self._world.rows(open_syncs):
            return False
        waiting = [
            await self._bus.jetstream().consumer_info(stream, consumer)
            for stream, consumer in CONSUMERS.items()
        ]
        return not any(info.num_pending or info.num_ack_pending for info in waiting)

    async def _stored(self, stream: str) -> Counter[str]:
        """Count the messages for each sync in a stream; no message id is there twice."""
        first, end = self.last[stream] + 1, await last(self._bus, stream) + 1
        messages = await asyncio.gather(
            *(self._bus.jetstream().get_msg(stream, seq) for seq in range(first, end))
        )
        ids = Counter((message.headers or {})["Nats-Msg-Id"] for message in messages)
        assert {*ids.values()} <= {1}
        return Counter(json.loads(message.data or b"{}")["sync_id"] for message in messages)


async def last(bus: Client, stream: str) -> int:
    """Return the sequence of the last message that a stream has stored."""
    return (await bus.jetstream().stream_info(stream)).state.last_seq


async def unacknowledged(bus: Client, stream: str) -> int:
    """Return how many messages of a stream were delivered and wait for their ack."""
    return (await bus.jetstream().consumer_info(stream, CONSUMERS[stream])).num_ack_pending or 0


async def redeliver(bus: Client, stream: str, consumer: str, seconds: float) -> None:
    """Deliver messages of a consumer again so long after their delivery, also those that wait already."""
    config = (await bus.jetstream().consumer_info(stream, consumer)).config
    config.ack_wait = seconds
    await bus.jetstream().add_consumer(stream, config)
