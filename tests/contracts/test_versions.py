"""Services of different versions understand each other: earlier and later messages."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from contracts.cards import NAMES, Kind
from contracts.credentials import Refused, StoreReply, VerifyReply
from contracts.events import AccountSynced
from contracts.faults import Code, PermanentError, TransientError, failure, fault_of
from contracts.syncs import Cause, SyncCompleted, SyncOutcome, TotalCheck, Verdict
from contracts.wire.envelope import Malformed, decode

YESTERDAY = Path(__file__).parent / "yesterday"
BEFORE = {path.stem for path in YESTERDAY.iterdir()}


def later(**fields: Any) -> bytes:
    """Return a message of a later version, with an unknown field."""
    return msgspec.json.encode({**fields, "added_later": {"a": [1]}})


def later_outcome(**wallet: Any) -> SyncOutcome:
    """Decode a completed outcome of a later version with one wallet."""
    message = later(
        type="completed",
        sync_id=uuid4(),
        account_id=uuid4(),
        exchange="okx",
        status="completed",
        wallets=[{"wallet": "trading", **wallet}],
    )
    outcome: SyncOutcome = decode(message, SyncOutcome)
    return outcome


def holds(read: Any, sent: Any) -> bool:
    """Return whether the decoded message contains all that was sent; it may have more fields."""
    if isinstance(sent, dict):
        return all(key in read and holds(read[key], value) for key, value in sent.items())
    if isinstance(sent, list):
        return len(read) == len(sent) and all(map(holds, read, sent))
    return bool(read == sent)


@pytest.mark.parametrize("kind", [kind for kind in NAMES if kind.__name__ in BEFORE])
def test_a_message_of_the_version_before_is_read(kind: Kind) -> None:
    """A message of an earlier service keeps its meaning."""
    before = (YESTERDAY / f"{kind.__name__}.json").read_bytes()

    read = msgspec.json.decode(msgspec.json.encode(decode(before, kind)))

    assert holds(read, msgspec.json.decode(before))


def test_no_message_of_the_version_before_is_forgotten() -> None:
    """Every message of the earlier services still has a name."""
    assert {kind.__name__ for kind in NAMES} >= BEFORE


def test_an_unknown_fault_code_stays_as_text() -> None:
    """The outcome is readable, and the code is kept unchanged."""
    outcome = later_outcome(verdict="failed", error_code="moon_in_the_way", error="The moon is in the way.")

    assert outcome.wallets[0].error_code == "moon_in_the_way"


@pytest.mark.parametrize("code", ["moon_in_the_way", "v2.Moon-Phase"])
def test_an_unknown_fault_code_acts_as_internal_error(code: str) -> None:
    """Actor, next action and retrying are those of internal_error, between services and for users."""
    refused: StoreReply = decode(later(type="refused", code=code, detail="why"), StoreReply)

    assert isinstance(refused, Refused)
    assert (refused.failure().code, type(refused.failure())) == (code, TransientError)
    assert fault_of(code) == fault_of(Code.INTERNAL_ERROR)


def test_a_known_fault_code_keeps_its_branch() -> None:
    """The table decides for the codes that it has."""
    assert isinstance(failure("key_unknown"), PermanentError)
    assert isinstance(failure("rate_limited"), TransientError)


@pytest.mark.parametrize("code", ["", "a b", "a\nb", "x" * 65, "ö"])
def test_a_code_that_is_no_code_is_malformed(code: str) -> None:
    """A code is a short word in every version, because a longer one could be arbitrary text."""
    with pytest.raises(Malformed):
        decode(later(type="refused", code=code), VerifyReply)


@pytest.mark.parametrize(
    "extra", [{}, {"balances": [], "as_of": "2026-11-24T12:00:00Z"}, {"error_code": "x"}]
)
def test_an_unknown_verdict_acts_as_failed(extra: dict[str, Any]) -> None:
    """A wallet with a verdict of a later version counts as unread, whatever data come with it."""
    assert later_outcome(verdict="read_by_telescope", **extra).wallets[0].verdict is Verdict.FAILED


def test_an_unknown_comparison_with_the_total_counts_as_none() -> None:
    """A wallet with an unknown comparison is unchecked, never agreeing."""
    wallet = later_outcome(
        verdict="complete", balances=[], as_of="2026-11-24T12:00:00Z", total_check="agrees_twice"
    ).wallets[0]

    assert wallet.total_check is TotalCheck.UNCHECKED


def test_an_unknown_status_is_read() -> None:
    """The status in the message is informative; the gateway derives its own."""
    raw = later(
        type="completed", sync_id=uuid4(), account_id=uuid4(), exchange="okx", status="adjourned", wallets=[]
    )
    outcome: SyncCompleted = decode(raw, SyncOutcome)

    assert outcome.status == "adjourned"


def test_an_event_of_a_later_version_is_read() -> None:
    """Subscribers that use these types survive an update of the gateway."""
    fact: AccountSynced = decode(
        later(
            sync_id=uuid4(),
            account_id=uuid4(),
            user_id=uuid4(),
            exchange="okx",
            status="partial",
            recorded_at="2026-11-24T12:00:00Z",
            wallets=[{"wallet": "moon", "verdict": "new", "error_code": "moon_in_the_way"}],
            error_code="moon_in_the_way",
            cause="new_moon",
        ),
        AccountSynced,
    )

    assert (fact.error_code, fact.wallets[0].verdict) == ("moon_in_the_way", Verdict.FAILED)
    assert fact.cause is Cause.SCHEDULE
