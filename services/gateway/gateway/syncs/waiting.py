"""The syncs that workers try again later because their exchange lets them wait, as workers announce them."""

import math
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import structlog

from contracts.faults import CodeText
from contracts.syncs import SyncWaiting
from contracts.wire.envelope import Malformed, decode

# The number of requests that an exchange's workers hold at once.
MOST = 4096

log = structlog.get_logger()


class Wait(msgspec.Struct, frozen=True):
    """The reason why a sync waits, and until when by the clock of this gateway."""

    error_code: CodeText
    until: datetime


def utc_now() -> datetime:
    """Return the time by this gateway's clock."""
    return datetime.now(UTC)


class ExchangeWaits:
    """Knows the waits that this process heard of; one that started later knows none until the next try.

    They are shown, and decide nothing: an announcement may be lost, and any worker may send one.
    """

    def __init__(self, now: Callable[[], datetime] = utc_now) -> None:
        self._now = now
        self._waits: OrderedDict[UUID, Wait] = OrderedDict()

    async def on_waiting(self, _subject: str, body: bytes) -> None:
        """Note that a sync waits; above the limit, forget the one that was noted longest ago."""
        try:
            said: SyncWaiting = decode(body, SyncWaiting)
        except Malformed as error:
            log.warning("waiting_unreadable", reason=str(error))
            return
        until = self._now() + timedelta(seconds=math.ceil(said.seconds))
        self._waits[said.sync_id] = Wait(said.error_code, until)
        self._waits.move_to_end(said.sync_id)
        if len(self._waits) > MOST:
            self._waits.popitem(last=False)

    def of(self, sync_id: UUID) -> Wait | None:
        """Return the wait of a queued sync; None if it is not known to wait, or its time is over."""
        wait = self._waits.get(sync_id)
        return wait if wait is not None and wait.until > self._now() else None
