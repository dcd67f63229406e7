"""A sync that waits for its exchange says so, as long as that is true."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from contracts.faults import Code
from contracts.syncs import SyncWaiting
from contracts.wire.envelope import encode
from gateway.syncs.waiting import MOST, ExchangeWaits, Wait

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
SYNC = UUID(int=1)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        """Return the time."""
        return self.now


def said(sync: UUID = SYNC, seconds: float = 8.2) -> bytes:
    """Return a worker's announcement."""
    return encode(SyncWaiting(sync, Code.RATE_LIMITED, seconds))


async def test_a_wait_is_known_until_its_end() -> None:
    """By the gateway's own clock, because those of workers may differ."""
    clock = Clock()
    waits = ExchangeWaits(clock)
    assert waits.of(SYNC) is None

    await waits.on_waiting("butler.sync.waiting.okx", said())

    assert waits.of(SYNC) == Wait(Code.RATE_LIMITED, NOW + timedelta(seconds=9))
    clock.now = NOW + timedelta(seconds=9)
    assert waits.of(SYNC) is None


async def test_the_newest_wait_of_a_sync_counts() -> None:
    """The worker announces each further try."""
    waits = ExchangeWaits(Clock())
    for seconds in (2.0, 4.0):
        await waits.on_waiting("", said(seconds=seconds))

    assert waits.of(SYNC) == Wait(Code.RATE_LIMITED, NOW + timedelta(seconds=4))


@pytest.mark.parametrize("body", [b"", b"{", b'{"sync_id": 1}', said().replace(b"8.2", b"1e9")])
async def test_an_unreadable_announcement_is_dropped(body: bytes) -> None:
    """Announcements are shown and decide nothing."""
    waits = ExchangeWaits(Clock())

    await waits.on_waiting("", body)

    assert waits.of(SYNC) is None


async def test_so_many_waits_are_remembered_only() -> None:
    """The one that was noted longest ago is forgotten first; a further try notes a sync anew."""
    waits, last = ExchangeWaits(Clock()), UUID(int=MOST + 1)
    for number in [*range(1, MOST + 1), 1]:
        await waits.on_waiting("", said(UUID(int=number)))

    await waits.on_waiting("", said(last))

    assert [waits.of(each) is None for each in (SYNC, UUID(int=2), last)] == [False, True, False]
