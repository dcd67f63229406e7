"""What a broker remembers of what it signed is bounded, and forgotten only when the grants are over."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from contracts.bus.grants import VERIFY, Grant, sync_purpose
from contracts.faults import Code, Failure
from vault_broker.signed import MAX_BATCHES, Ended, Signed

NOW = datetime(2026, 11, 27, tzinfo=UTC)
LIFE = timedelta(seconds=120)


def granted(seconds: float = LIFE.total_seconds(), purpose: str = "") -> Grant:
    """Give a grant for a credential of its own."""
    return Grant(uuid7(), "okx", purpose or sync_purpose(uuid7()), NOW + timedelta(seconds=seconds))


def sign(signed: Signed, grant: Grant, request_id: UUID | None = None, at: timedelta = timedelta()) -> str:
    """Sign a batch, and give the code of the refusal, or nothing."""
    try:
        with signed.signing(grant, request_id or uuid7(), NOW + at):
            return ""
    except Failure as refused:
        return refused.code


def test_a_grant_is_good_for_sixteen_batches() -> None:
    """The seventeenth is refused; another grant has sixteen of its own."""
    signed, one, other = Signed(), granted(), granted(purpose=VERIFY)

    codes = [sign(signed, one) for _ in range(MAX_BATCHES + 1)]

    assert codes == [""] * 16 + [Code.GRANT_REFUSED]
    assert sign(signed, other) == ""


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
    """A batch that the vault did not sign may be asked for again, however often that happens."""
    signed, grant, request_id = Signed(), granted(), uuid7()

    for _ in range(100):
        with suppress(TimeoutError), signed.signing(grant, request_id, NOW):
            raise TimeoutError

    assert [sign(signed, grant, request_id)] + [sign(signed, grant) for _ in range(15)] == [""] * 16


def test_a_full_memory_signs_nothing_new_until_grants_end() -> None:
    """What is remembered is not given up for what comes; another broker, or a later time, can sign it."""
    signed, first = Signed(most=3), granted(seconds=30)

    assert [sign(signed, first), sign(signed, granted()), sign(signed, granted())] == [""] * 3
    assert sign(signed, granted()) == Code.SIGNING_UNAVAILABLE
    # A minute longer than the grant, because our clock may be set back.
    assert sign(signed, granted(), at=timedelta(seconds=89)) == Code.SIGNING_UNAVAILABLE
    assert sign(signed, granted(), at=timedelta(seconds=95)) == ""


def test_a_clock_that_was_far_ahead_does_not_keep_the_memory_full() -> None:
    """After the clock went back, what is over is forgotten at its time."""
    signed = Signed(most=1)
    assert sign(signed, granted(seconds=90_000), at=timedelta(days=1)) == ""
    assert sign(signed, granted()) == Code.SIGNING_UNAVAILABLE

    assert sign(signed, granted(seconds=100_000), at=timedelta(seconds=90_100)) == ""


def test_a_grant_whose_sync_has_ended_is_refused() -> None:
    """Other syncs, and verifications of keys, go on."""
    ended, sync_id = Ended(), uuid7()
    ended.add(sync_id)

    with pytest.raises(Failure) as refused:
        ended.check(granted(purpose=sync_purpose(sync_id)))
    assert refused.value.code == Code.GRANT_REFUSED
    ended.check(granted())
    ended.check(granted(purpose=VERIFY))


def test_the_oldest_end_is_forgotten_first() -> None:
    """However many syncs end, no more than the bound are remembered."""
    ended, ids = Ended(most=10), [uuid7() for _ in range(25)]
    for each in ids:
        ended.add(each)

    for each in ids[:15]:
        ended.check(granted(purpose=sync_purpose(each)))
    for each in ids[15:]:
        with pytest.raises(Failure):
            ended.check(granted(purpose=sync_purpose(each)))
