"""The recently signed requests of this process, and the ended syncs: they limit the use of a grant.

Each process counts separately, so N brokers sign N times as many batches for a grant. A full memory stops
signing, which is logged and counted.
"""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog

from chassis import metrics
from contracts.exchanges import EXCHANGES
from contracts.faults import Code, Failure, TransientError, failure
from contracts.wire.grants import Grant, granted_sync, sync_purpose

# At most 92 MB of a broker's 256 MB: all batches of 1,500 open syncs of an exchange that allows 64 for each.
MAX_REMEMBERED = 100_000
MAX_ENDED = 100_000
FORGET_EVERY = timedelta(seconds=5)
# Our clock may be set back by less than this, which makes an expired grant valid again.
KEPT_LONGER = timedelta(seconds=60)
# A gateway's clock may be ahead of ours by this much.
CLOCKS_DIFFER = timedelta(seconds=60)

log = structlog.get_logger()


class Signed:
    """The signed requests of each grant, until its sync has ended or the grant has expired.

    Remembers at most `most` requests; when it is full, the broker refuses to sign.
    """

    def __init__(self, most: int = MAX_REMEMBERED) -> None:
        self._most = most
        self._purposes: dict[str, dict[Grant, set[UUID]]] = {}
        self._requests: set[UUID] = set()
        self._forgot_at = datetime.min.replace(tzinfo=UTC)

    @contextmanager
    def signing(self, grant: Grant, request_id: UUID, now: datetime) -> Iterator[None]:
        """Count a batch during and after its signing, unless that fails.

        The entry of the exchange says how many a grant has. Raises Failure: grant_refused for a request that
        was signed before or a grant that is used up, signing_unavailable if the memory is full.
        """
        self._forget(now)
        batches = self._purposes.get(grant.purpose, {}).get(grant, set())
        if request_id in self._requests:
            raise failure(Code.GRANT_REFUSED, "this request was signed before")
        most = EXCHANGES[grant.exchange].most_batches
        if len(batches) >= most:
            raise failure(Code.GRANT_REFUSED, f"the grant was used for {most} batches")
        if len(self._requests) >= self._most:
            raise _full("requests", "the broker has signed all that it can remember")
        self._add(grant, request_id)
        try:
            yield
        except BaseException:
            self._remove(grant, request_id)
            raise

    def drop(self, sync_id: UUID) -> None:
        """Forget the requests of a sync that has ended, because the broker signs no more for its grants."""
        for batches in self._purposes.pop(sync_purpose(sync_id), {}).values():
            self._requests -= batches

    def _add(self, grant: Grant, request_id: UUID) -> None:
        self._purposes.setdefault(grant.purpose, {}).setdefault(grant, set()).add(request_id)
        self._requests.add(request_id)

    def _remove(self, grant: Grant, request_id: UUID) -> None:
        batches = self._purposes.get(grant.purpose, {}).get(grant, set())
        if request_id not in batches:  # dropped meanwhile
            return
        self._requests.discard(request_id)
        batches.discard(request_id)
        if not batches:
            self._give_up(grant)

    def _give_up(self, grant: Grant) -> None:
        grants = self._purposes[grant.purpose]
        self._requests -= grants.pop(grant)
        if not grants:
            del self._purposes[grant.purpose]

    def _forget(self, now: datetime) -> None:
        """Forget the requests of expired grants; the clock may have been set back meanwhile."""
        if abs(now - self._forgot_at) < FORGET_EVERY:
            return
        self._forgot_at = now
        over = now - KEPT_LONGER
        for grant in [grant for grants in self._purposes.values() for grant in grants if grant.exp <= over]:
            self._give_up(grant)


class Ended:
    """The last `most` syncs that gateways announced as ended.

    Ids of syncs are in the order of time. After an end is forgotten, the broker no longer signs for syncs as
    old as that one, because each may have ended. With deadlines of two minutes this affects a valid grant
    only above 800 syncs a second.
    """

    def __init__(self, most: int = MAX_ENDED) -> None:
        self._most = most
        self._syncs: OrderedDict[UUID, None] = OrderedDict()
        self._forgotten_up_to = UUID(int=0)

    def add(self, sync_id: UUID, now: datetime) -> None:
        """Remember a sync that has ended, unless it is as old as forgotten ones, which are refused anyway."""
        if sync_id <= self._forgotten_up_to:
            return
        self._syncs[sync_id] = None
        if len(self._syncs) > self._most:
            oldest, _ = self._syncs.popitem(last=False)
            # An id from further in the future must not block syncs that are requested from now on.
            if oldest <= _first_id(now + CLOCKS_DIFFER):
                self._forgotten_up_to = max(self._forgotten_up_to, oldest)

    def check(self, grant: Grant) -> None:
        """Refuse the grant of a sync that has ended.

        Raises Failure: grant_refused, or signing_unavailable if the end may have been forgotten.
        """
        sync_id = granted_sync(grant)
        if sync_id is None:
            return
        if sync_id in self._syncs:
            raise failure(Code.GRANT_REFUSED, "the sync of this grant has ended")
        if sync_id <= self._forgotten_up_to:
            raise _full("ends", "the broker can not remember whether the sync of this grant has ended")


def _first_id(now: datetime) -> UUID:
    """Return the lowest UUIDv7 of a millisecond."""
    return UUID(int=int(now.timestamp() * 1000) << 80)


def _full(memory: str, words: str) -> Failure:
    """Log and count a refusal to sign because the memory is full, and return it."""
    log.error("signing_memory_full", memory=memory)
    metrics.SIGNING_MEMORY_FULL.labels(memory).inc()
    return TransientError(Code.SIGNING_UNAVAILABLE, words)
