"""A constant load of syncs, and the proof that each that was accepted ended once."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import cycle
from uuid import uuid4

from nats.aio.client import Client

from tests.chaos.parts import World
from tests.system.person import Person
from tests.waiting import passed, until

PER_SECOND = 5
END_SECONDS = 60
SLOW = {"database_unavailable", "overloaded"}


class Load:
    """The syncs that the API accepted so far, in order, and the answers that refused one."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.accepted: dict[str, None] = {}
        self.refused: list[str] = []

    async def request(self, person: Person, path: str) -> None:
        """Request a sync and note the answer; an open sync of the account is the answer a second time.

        A machine with too much to do makes the database slow, so this answer is followed by another try.
        """
        headers = {"Prefer": "respond-async", "Idempotency-Key": str(uuid4())}
        answer = await person.client.post(f"{path}/sync", headers=headers)

        async def in_time() -> bool:
            nonlocal answer
            if answer.status_code == 503 and answer.json()["code"] in SLOW:
                answer = await person.client.post(f"{path}/sync", headers=headers)
                return False
            return True

        await until(in_time)
        if answer.is_success:
            self.accepted[answer.json()["sync_id"]] = None
        else:
            self.refused.append(answer.text)

    async def flows(self, seconds: float) -> None:
        """Wait until a sync that is accepted from now on has its outcome."""
        before = {*self.accepted}

        async def ended() -> bool:
            later = [sync_id for sync_id in self.accepted if sync_id not in before]
            over = "select 1 from syncs where id = any(%s) and status <> 'queued' limit 1"
            return bool(await self._world.rows(over, later))

        await until(ended, seconds)


@asynccontextmanager
async def under_load(world: World, person: Person, paths: Sequence[str]) -> AsyncIterator[Load]:
    """Request syncs of these accounts in turn, at a steady pace, whatever the answers are."""
    load = Load(world)

    async def go_on(tasks: asyncio.TaskGroup) -> None:
        for path in cycle(paths):
            tasks.create_task(load.request(person, path))
            await until(passed(1 / PER_SECOND))

    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(go_on(tasks))
        yield load
        running.cancel()


async def each_ended_once(world: World, bus: Client, load: Load) -> None:
    """Check that no sync was refused, and that all ended once."""
    assert not load.refused, load.refused
    await all_ended_once(world, bus, [*load.accepted])


async def all_ended_once(world: World, bus: Client, accepted: list[str]) -> None:
    """Check that each sync was published once, and has one outcome, one record and one event.

    A sync that was lost and published again would end as well, so that its end alone proves nothing.
    """
    query = """select id::text, status, publications, (select count(*) from audit
                   where action = 'sync_recorded' and subject = syncs.id)
               from syncs where id = any(%s)"""

    async def settled() -> bool:
        rows = await world.rows(query, accepted)
        return all(status != "queued" for _, status, _, _ in rows) and not await world.rows(
            "select 1 from outbox"
        )

    await until(settled, END_SECONDS)
    rows = await world.rows(query, accepted)
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
