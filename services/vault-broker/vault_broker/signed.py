"""What this process has signed of late, and which syncs have ended: bounds on what a grant is good for.

Each process counts for itself, so N brokers sign N times as many batches for a grant. Pure.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

from contracts.bus.grants import Grant, sync_purpose
from contracts.faults import Code, TransientError, failure

# A sync has 4 tries, and each may measure the exchange's time anew.
MAX_BATCHES = 16
MAX_REMEMBERED = 100_000
MAX_ENDED = 100_000
FORGET_EVERY = timedelta(seconds=5)
# Our clock may be set back by less than that, and make a grant good again.
KEPT_LONGER = timedelta(seconds=60)


class Signed:
    """Which requests were signed for which grant, until the grants are over.

    At most `most` requests are remembered; while there are so many, nothing more is signed here.
    """

    def __init__(self, most: int = MAX_REMEMBERED) -> None:
        self._most = most
        self._grants: dict[Grant, set[UUID]] = {}
        self._requests: set[UUID] = set()
        self._forgot_at = datetime.min.replace(tzinfo=UTC)

    @contextmanager
    def signing(self, grant: Grant, request_id: UUID, now: datetime) -> Iterator[None]:
        """Count a batch while and after it is signed, and not when that fails.

        Raises Failure: grant_refused for a request that was signed or a grant that is used up,
        signing_unavailable where no more is remembered.
        """
        self._forget(now)
        batches = self._grants.get(grant, set())
        if request_id in self._requests:
            raise failure(Code.GRANT_REFUSED, "this request was signed before")
        if len(batches) >= MAX_BATCHES:
            raise failure(Code.GRANT_REFUSED, f"the grant was used for {MAX_BATCHES} batches")
        if len(self._requests) >= self._most:
            raise TransientError(Code.SIGNING_UNAVAILABLE, "the broker has signed all that it can remember")
        self._add(grant, request_id)
        try:
            yield
        except BaseException:
            self._remove(grant, request_id)
            raise

    def _add(self, grant: Grant, request_id: UUID) -> None:
        self._grants.setdefault(grant, set()).add(request_id)
        self._requests.add(request_id)

    def _remove(self, grant: Grant, request_id: UUID) -> None:
        self._requests.discard(request_id)
        batches = self._grants.get(grant, set())
        batches.discard(request_id)
        if not batches:
            self._grants.pop(grant, None)

    def _forget(self, now: datetime) -> None:
        """Forget what was signed for grants that are over; the clock may have gone back meanwhile."""
        if abs(now - self._forgot_at) < FORGET_EVERY:
            return
        self._forgot_at = now
        over = now - KEPT_LONGER
        for grant in [grant for grant in self._grants if grant.exp <= over]:
            self._requests -= self._grants.pop(grant)


class Ended:
    """The syncs that have ended, as gateways say; the oldest is forgotten when there are more than `most`.

    A grant for a sync lasts for the two minutes of its deadline; it takes more than 800 syncs a second until
    one is forgotten before.
    """

    def __init__(self, most: int = MAX_ENDED) -> None:
        self._most = most
        self._purposes: dict[str, None] = {}

    def add(self, sync_id: UUID) -> None:
        """Remember a sync that has ended."""
        self._purposes[sync_purpose(sync_id)] = None
        if len(self._purposes) > self._most:
            del self._purposes[next(iter(self._purposes))]

    def check(self, grant: Grant) -> None:
        """Raise Failure(grant_refused) for the grant of a sync that has ended."""
        if grant.purpose in self._purposes:
            raise failure(Code.GRANT_REFUSED, "the sync of this grant has ended")
