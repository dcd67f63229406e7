"""A broker's memory of its signatures is bounded, and drops an entry only when its grant is useless."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest
from structlog.testing import capture_logs
from uuid_utils.compat import uuid7

from chassis.metrics import REGISTRY
from contracts.exchanges import EXCHANGES
from contracts.faults import Code, Failure
from contracts.wire.grants import VERIFY, Grant, granted_sync, sync_purpose
from vault_broker.grant_use import Ended, Signed

NOW = datetime(2026, 11, 27, tzinfo=UTC)
LIFE = timedelta(seconds=120)


def granted(seconds: float = LIFE.total_seconds(), purpose: str = "") -> Grant:
    """Return a grant for a separate credential."""
    return Grant(uuid7(), "okx", purpose or sync_purpose(uuid7()), NOW + timedelta(seconds=seconds))


def sign(signed: Signed, grant: Grant, request_id: UUID | None = None, at: timedelta = timedelta()) -> str:
    """Sign a batch, and return the code of the refusal, or an empty text."""
    try:
        with signed.signing(grant, request_id or uuid7(), NOW + at):
            return ""
    except Failure as refused:
        return refused.code


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_grant_is_good_for_as_many_batches_as_its_exchange_says(exchange: str) -> None:
    """The next is refused; another grant has its own. One whose lists have many pages may allow more."""
    signed, most = Signed(), EXCHANGES[exchange].most_batches
    one, other = (msgspec.structs.replace(each, exchange=exchange) for each in (granted(), granted()))

    codes = [sign(signed, one) for _ in range(most + 1)]

    assert codes == [""] * most + [Code.GRANT_REFUSED]
    assert sign(signed, other) == ""
    assert EXCHANGES["okx"].most_batches == 16


def test_a_request_is_signed_once_whatever_grants_it() -> None:
    """Its id is refused as long as its grant lasts, with another grant, too."""
    signed, one, other, request_id = Signed(), granted(), granted(), uuid7()

    assert [sign(signed, grant, request_id) for grant in (one, one, other)] == [
        "",
        Code.GRANT_REFUSED,
        Code.GRANT_REFUSED,
    ]
    assert sign(signed, one, request_id, LIFE - timedelta(seconds=1)) == Code.GRANT_REFUSED


def test_two_of_a_request_are_not_signed_together() -> None:
    """While the vault signs the first, the second is refused already."""
    signed, grant, request_id = Signed(), granted(), uuid7()

    with signed.signing(grant, request_id, NOW):
        assert sign(signed, grant, request_id) == Code.GRANT_REFUSED


def test_what_was_not_signed_does_not_count() -> None:
    """A batch that the vault did not sign may be requested again, however often that happens."""
    signed, grant, request_id = Signed(), granted(), uuid7()

    for _ in range(100):
        with suppress(TimeoutError), signed.signing(grant, request_id, NOW):
            raise TimeoutError

    assert [sign(signed, grant, request_id)] + [sign(signed, grant) for _ in range(15)] == [""] * 16


def test_a_full_memory_signs_nothing_new_until_grants_end() -> None:
    """Entries are not dropped for new requests; another broker, or a later time, can sign them."""
    signed, first = Signed(most=3), granted(seconds=30)

    assert [sign(signed, first), sign(signed, granted()), sign(signed, granted())] == [""] * 3
    assert sign(signed, granted()) == Code.SIGNING_UNAVAILABLE
    # A minute longer than the grant, because our clock may be set back.
    assert sign(signed, granted(), at=timedelta(seconds=89)) == Code.SIGNING_UNAVAILABLE
    assert sign(signed, granted(), at=timedelta(seconds=95)) == ""


def test_a_clock_that_was_far_ahead_does_not_keep_the_memory_full() -> None:
    """After the clock went back, expired entries are dropped at their time."""
    signed = Signed(most=1)
    assert sign(signed, granted(seconds=90_000), at=timedelta(days=1)) == ""
    assert sign(signed, granted()) == Code.SIGNING_UNAVAILABLE

    assert sign(signed, granted(seconds=100_000), at=timedelta(seconds=90_100)) == ""


def test_what_was_signed_for_a_sync_is_dropped_at_its_end() -> None:
    """With deadlines of a day, too, the memory holds only open syncs; other grants stay counted."""
    signed, day, open_one = Signed(most=18), timedelta(days=1).total_seconds(), granted()
    sign(signed, open_one)
    for _ in range(100):
        sync_id = uuid7()
        for purpose_twice in (granted(day, sync_purpose(sync_id)), granted(day, sync_purpose(sync_id))):
            assert [sign(signed, purpose_twice) for _ in range(8)] == [""] * 8
        signed.drop(sync_id)

    assert [sign(signed, open_one) for _ in range(16)] == [""] * 15 + [Code.GRANT_REFUSED]


def test_a_batch_that_ends_after_its_sync_leaves_nothing() -> None:
    """Whether the vault signed it or not, the memory is the same as before."""
    for error in (TimeoutError, None):
        signed, grant, request_id = Signed(most=1), granted(), uuid7()
        sync_id = granted_sync(grant)
        assert sync_id is not None
        with suppress(TimeoutError), signed.signing(grant, request_id, NOW):
            signed.drop(sync_id)
            if error is not None:
                raise error

        assert sign(signed, granted(), request_id) == ""


def refused(ended: Ended, sync_id: UUID) -> str:
    """Return the code of the refusal of a sync's grant, or an empty text."""
    try:
        ended.check(granted(purpose=sync_purpose(sync_id)))
    except Failure as failure:
        return failure.code
    return ""


def test_a_grant_whose_sync_has_ended_is_refused() -> None:
    """Other syncs, and verifications of keys, continue."""
    ended, sync_id = Ended(), uuid7()
    ended.add(sync_id, NOW)

    assert refused(ended, sync_id) == Code.GRANT_REFUSED
    assert refused(ended, uuid7()) == ""
    ended.check(granted(purpose=VERIFY))


def test_an_end_that_is_forgotten_makes_no_grant_good_again() -> None:
    """The memory of ends is bounded; a sync as old as a forgotten one is not signed for."""
    now, ended, ids = datetime.now(UTC), Ended(most=10), [uuid7() for _ in range(25)]
    open_one = uuid7()
    before = full("ends")
    for each in ids:
        ended.add(each, now + LIFE)

    assert [refused(ended, each) for each in ids] == [Code.SIGNING_UNAVAILABLE] * 15 + [
        Code.GRANT_REFUSED
    ] * 10
    assert [refused(ended, each) for each in (open_one, uuid7())] == ["", ""]
    ended.check(granted(purpose=VERIFY))
    assert full("ends") == before + 15


def test_the_clock_of_a_gateway_may_be_ahead() -> None:
    """A broker whose clock is behind refuses a forgotten sync as well, however often it is announced."""
    behind, ended, ids = (
        datetime.now(UTC) - timedelta(seconds=45),
        Ended(most=10),
        [uuid7() for _ in range(25)],
    )
    for each in (*ids, ids[0]):
        ended.add(each, behind)

    assert [refused(ended, each) for each in ids[:15]] == [Code.SIGNING_UNAVAILABLE] * 15
    assert [refused(ended, each) for each in ids[15:]] == [Code.GRANT_REFUSED] * 10


def test_an_end_from_the_future_does_not_stop_what_comes() -> None:
    """The id of a gateway whose clock was ahead blocks no later request."""
    ended = Ended(most=1)
    for number in (2**128 - 1, 2**128 - 2):
        ended.add(UUID(int=number), datetime.now(UTC) - timedelta(seconds=1))

    assert refused(ended, uuid7()) == ""


def test_a_full_memory_is_told_and_counted() -> None:
    """The log and the metric tell the operator why nothing is signed."""
    signed, before = Signed(most=1), full("requests")
    sign(signed, granted())

    with capture_logs() as logs:
        assert sign(signed, granted()) == Code.SIGNING_UNAVAILABLE

    assert [(line["event"], line["memory"], line["log_level"]) for line in logs] == [
        ("signing_memory_full", "requests", "error")
    ]
    assert full("requests") == before + 1


def full(memory: str) -> float:
    """Return how often a signature was refused because this memory was full."""
    return REGISTRY.get_sample_value("butler_signing_memory_full_total", {"memory": memory}) or 0.0
