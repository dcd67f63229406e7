"""Readiness: 503 only where this replica can not do its work, and an answer within two seconds."""

import asyncio
import time
from typing import Any

import msgspec
import pytest

from chassis import metrics
from chassis.health import Check, Checks, Readiness, Ready, health_application, merged, readiness, running
from chassis.sampling import collect
from tests.waiting import until


def says(*, passes: bool) -> Check:
    """Return a check that always says the same."""

    async def check() -> bool:
        return passes

    return check


async def raises() -> bool:
    """Fail as a check may."""
    raise RuntimeError


async def hangs() -> bool:
    """Take long, also to be cancelled, as psycopg does while its database hangs."""
    try:
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(5)
    return True


Counted = tuple[list[None], Check]


@pytest.fixture(name="counted")
def _counted() -> Counted:
    """Return a check that passes, and the list that it grows by one each time."""
    looks: list[None] = []

    async def check() -> bool:
        looks.append(None)
        return True

    return looks, check


PASSES, FAILS = says(passes=True), says(passes=False)


async def asked(checks: Checks) -> tuple[int, Any]:
    """Ask a service for its readiness over HTTP and return status and answer."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await health_application(checks)({"path": "/readyz"}, receive, send)
    return sent[0]["status"], msgspec.json.decode(sent[1]["body"])


@pytest.mark.parametrize(
    ("required", "degrading", "status", "not_ready", "degraded"),
    [
        (PASSES, PASSES, 200, [], []),
        (PASSES, FAILS, 200, [], ["shared"]),
        (PASSES, raises, 200, [], ["shared"]),
        (FAILS, PASSES, 503, ["own"], []),
        (raises, FAILS, 503, ["own"], ["shared"]),
    ],
)
async def test_only_a_required_part_takes_a_replica_out(
    required: Check, degrading: Check, status: int, not_ready: list[str], degraded: list[str]
) -> None:
    """What all replicas share is said with 200: a 503 would take every one of them out of service."""
    answer = {"ready": status == 200, "not_ready": not_ready, "degraded": degraded}

    assert await asked(Checks({"own": required}, {"shared": degrading})) == (status, answer)


async def test_checks_that_hang_take_two_seconds_together() -> None:
    """However many hang, and however long they take to be cancelled."""
    began = time.monotonic()

    state = await readiness(Checks({"own": hangs, "other": PASSES}, {"shared": hangs}))

    assert time.monotonic() - began < 2.0
    assert state == Readiness(ready=False, not_ready=("own",), degraded=("shared",))


async def test_a_part_with_several_checks_passes_all_of_them() -> None:
    """Whichever fails, the part is named once."""
    checks = merged({"nats": PASSES, "consumer": PASSES}, {"consumer": FAILS}, {"consumer": PASSES})

    assert await readiness(Checks({}, checks)) == Readiness(ready=True, not_ready=(), degraded=("consumer",))


async def test_many_who_ask_for_readiness_cost_one_look(counted: Counted) -> None:
    """Only required parts are looked at, once for all who ask within the time that the answer is kept."""
    looks, check = counted
    ready = Ready(Checks({"own": check}, {"shared": check}), kept_seconds=0.2)

    assert await asyncio.gather(*(ready.ready() for _ in range(100))) == [True] * 100
    assert await ready.ready()
    assert len(looks) == 1

    async def looked_again() -> bool:
        return await ready.ready() and len(looks) > 1

    await until(looked_again)


async def test_one_who_goes_away_does_not_take_the_answer_from_the_others() -> None:
    """A request that is cancelled leaves its look to the others, who have their answer within two seconds."""
    ready = Ready(Checks({"own": PASSES, "lost": hangs}))
    first = asyncio.create_task(ready.ready())
    await asyncio.sleep(0)
    second = asyncio.create_task(ready.ready())
    first.cancel()

    began = time.monotonic()
    assert not await second
    assert time.monotonic() - began < 2


async def test_a_service_that_was_told_to_stop_is_not_ready() -> None:
    """Whoever sends it requests learns it before its port is closed."""
    stopping = asyncio.Event()
    checks = Checks({"running": running(stopping)})
    assert (await readiness(checks)).ready

    stopping.set()

    assert (await readiness(checks)).not_ready == ("running",)


async def test_metrics_move_though_nobody_asks() -> None:
    """A sample that fails or hangs keeps the others from nothing."""
    taken = asyncio.Event()

    async def sample() -> None:
        taken.set()

    async def failing() -> None:
        raise RuntimeError

    collecting = asyncio.create_task(collect(Checks({"lost": FAILS}, {"there": PASSES}), failing, sample))
    await asyncio.wait_for(taken.wait(), 5)

    def ready(part: str) -> float | None:
        return metrics.REGISTRY.get_sample_value("butler_ready", {"part": part})

    async def told() -> bool:
        return (ready("lost"), ready("there")) == (0.0, 1.0)

    await until(told)
    assert not collecting.done()
    collecting.cancel()
