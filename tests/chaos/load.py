"""The syncs of a load go on, and each that was accepted ends once."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from nats.aio.client import Client

from tests.chaos.parts import World
from tests.loading import WHILE_DYING, Load
from tests.system.person import Person
from tests.waiting import until

PER_SECOND = 5
END_SECONDS = 60


class Rows(Protocol):
    """Runs a query as the superuser."""

    def __call__(self, query: str, *values: object) -> Awaitable[list[tuple[object, ...]]]:
        """Return the rows."""


async def flows(world: World, load: Load, seconds: float) -> None:
    """Wait until a sync that is accepted from now on has its outcome."""
    before = {*load.accepted}

    async def ended() -> bool:
        later = [sync_id for sync_id in load.accepted if sync_id not in before]
        over = "select 1 from syncs where id = any(%s) and status <> 'queued' limit 1"
        return bool(await world.rows(over, later))

    await until(ended, seconds)


@asynccontextmanager
async def under_load(
    world: World, bus: Client, accounts: Sequence[tuple[Person, str]]
) -> AsyncIterator[Load]:
    """Request syncs of these accounts while servers die; at the end, none was refused and all ended once."""
    load = Load(accounts, PER_SECOND, WHILE_DYING)
    async with load.running():
        yield load
    assert load.failed == {}
    await all_ended_once(world, bus, [*load.accepted])


async def all_ended_once(world: World, bus: Client, accepted: list[str]) -> None:
    """Check each accepted sync in the world."""
    await each_ended_once(world.rows, bus, accepted)


async def each_ended_once(query_rows: Rows, bus: Client, accepted: list[str]) -> None:
    """Check that each sync was published once, and has one outcome, one record and one event.

    A sync that was lost and published again would end as well, so that its end alone proves nothing.
    """
    query = """select id::text, status, publications, (select count(*) from audit
                   where action = 'sync_recorded' and subject = syncs.id)
               from syncs where id = any(%s)"""

    async def settled() -> bool:
        rows = await query_rows(query, accepted)
        return all(status != "queued" for _, status, _, _ in rows) and not await query_rows(
            "select 1 from outbox"
        )

    await until(settled, END_SECONDS)
    rows = await query_rows(query, accepted)
    ends = {str(sync_id): (status, published, recorded) for sync_id, status, published, recorded in rows}
    _all_are(ends, accepted, ("completed", 1, 1), "status, publications and records")
    for stream in ("SYNC_OUTCOMES", "ACCOUNT_EVENTS"):
        _all_are(await _messages_per_sync(bus, stream), accepted, 1, f"messages in {stream}")


def _all_are(found: Mapping[str, object], accepted: Sequence[str], expected: object, meaning: str) -> None:
    """Fail with the syncs for which something else was found."""
    wrong = {sync_id: found.get(sync_id) for sync_id in accepted if found.get(sync_id) != expected}
    assert not wrong, f"{meaning} of {len(wrong)} in {len(accepted)} syncs: {wrong}"


async def _messages_per_sync(bus: Client, stream: str) -> Counter[str]:
    """Count the messages of a stream for each sync."""
    state = (await bus.jetstream().stream_info(stream)).state
    messages = await asyncio.gather(
        *(bus.jetstream().get_msg(stream, seq) for seq in range(state.first_seq, state.last_seq + 1))
    )
    return Counter(json.loads(message.data or b"{}").get("sync_id", "") for message in messages)
