"""A worker that takes the message id of an outcome cannot prevent the end of a sync in one outcome."""

import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from contracts.wire.grants import grant_mark
from gateway.store import syncs
from gateway.syncs.messages import sync_grant
from tests.gateway.syncs.sweeping.conftest import Sweeping
from tests.gateway.syncs.sweeping.test_forged_outcomes import Scene, opened, said, state
from tests.waiting import until

MARK = re.compile(r"[0-9a-f]{16}")
HONEST = "key_rejected"
# The most that a worker without the request knows: the ids of sync, account and credential.
GUESSES: tuple[Callable[[Scene], str], ...] = (
    lambda scene: f"{scene.sync_id}:outcome",
    lambda scene: f"{scene.sync_id}:outcome:",
    lambda scene: f"{scene.sync_id}:outcome:{grant_mark(None)}",
    lambda scene: f"{scene.sync_id}:outcome:{grant_mark(str(scene.credential_id))}",
    lambda scene: f"{scene.sync_id}:outcome:{grant_mark(scene.grant().partition('.')[0])}",
    lambda scene: f"{scene.sync_id}:outcome:{grant_mark(scene.grant().partition('.')[0] + '.')}",
)
GARBAGE: dict[str, Callable[[Scene], Any]] = {
    "bytes": lambda _: b"\xff\x00",
    "nothing": lambda _: b"",
    "no outcome": lambda _: {"type": "adjourned"},
    "a forged grant": lambda scene: scene.outcome("click.here"),
    "a forged grant, and no outcome": lambda scene: scene.outcome("click.here", type="adjourned"),
    "another sync's grant": lambda scene: scene.outcome(scene.grant(purpose=f"sync {uuid4()}")),
    "another sync": lambda scene: scene.outcome(scene.grant(), sync_id=str(uuid4())),
    "another account": lambda scene: scene.outcome(scene.grant(), account_id=str(uuid4())),
}


async def ended(sweeping: Sweeping, scene: Scene) -> bool:
    """Return whether a sync has its terminal state."""
    return (await sweeping.rows("select status from syncs where id = %s", scene.sync_id)) != [("queued",)]


async def settle(sweeping: Sweeping, scene: Scene) -> None:
    """Let the sweeper settle a sync whose deadline is over."""
    sweeper = sweeping.sweeper(latest=2)

    async def settled() -> bool:
        await sweeper.sweep()
        return await ended(sweeping, scene)

    await until(settled)


async def recorded(sweeping: Sweeping) -> int:
    """Count the ends of syncs in the audit."""
    ((count,),) = await sweeping.rows("select count(*) from audit where action = 'sync_recorded'")
    return int(str(count))


async def test_an_id_can_not_be_taken_without_the_grant(sweeping: Sweeping) -> None:
    """The id contains a mark of the grant's signature: without it, the honest outcome counts."""
    scene = await opened(sweeping)
    for guess in GUESSES:
        await said(sweeping, {"type": "adjourned", "sync_id": str(uuid4())}, guess(scene))
    grant = scene.grant()
    assert MARK.fullmatch(grant_mark(grant))
    async with sweeping.recording():
        honest = scene.outcome(grant, error_code=HONEST)
        await said(sweeping, honest, f"{scene.sync_id}:outcome:{grant_mark(grant)}")
        await until(lambda: ended(sweeping, scene))

    assert await state(sweeping, scene.sync_id) == ("failed", HONEST)
    assert await recorded(sweeping) == 1


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_who_was_handed_the_grant_can_at_most_let_the_deadline_pass(
    sweeping: Sweeping, garbage: str
) -> None:
    """Its garbage has the honest outcome's id, so the stream drops that: the sync ends by its deadline."""
    scene = await opened(sweeping)
    grant = scene.grant()
    message_id = f"{scene.sync_id}:outcome:{grant_mark(grant)}"
    await said(sweeping, GARBAGE[garbage](scene), message_id)
    await said(sweeping, scene.outcome(grant, error_code=HONEST), message_id)
    assert await sweeping.state("SYNC_OUTCOMES") == (1, 1)

    async with sweeping.recording():
        await sweeping.rows("update syncs set deadline = now() - interval '7 s' where id = %s", scene.sync_id)
        await settle(sweeping, scene)

    assert await state(sweeping, scene.sync_id) != ("failed", HONEST)
    assert await recorded(sweeping) == 1


async def test_the_id_of_a_settlement_can_not_be_taken(sweeping: Sweeping) -> None:
    """Garbage with the ids that a settlement had, and with the grant's mark, blocks none."""
    scene = await opened(sweeping)
    await sweeping.rows("update syncs set deadline = now() - interval '7 s' where id = %s", scene.sync_id)
    async with sweeping.pool.transaction() as connection:
        sync = await syncs.find(connection, scene.sync_id)
    assert sync is not None
    marks = {grant_mark(sync_grant(sync, scene.credential_id, sweeping.key)), grant_mark(None)}
    for times in range(1, 4):
        for end in ("", *(f":{mark}" for mark in marks)):
            await said(sweeping, scene.outcome("click.here"), f"{scene.sync_id}:settled:{times}{end}")

    async with sweeping.recording():
        await settle(sweeping, scene)

    assert await state(sweeping, scene.sync_id) == ("failed", "deadline_exceeded")
    assert await recorded(sweeping) == 1
