"""An outcome is sent so that gateways of the first release can record it, and received without a loss."""

from datetime import UTC, datetime
from uuid import UUID

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from contracts.exchanges.okx import OKX
from contracts.faults import Code
from contracts.syncs import Status, SyncCompleted, SyncFailed, SyncOutcome, Verdict, WalletRead, status_of
from contracts.wire.outcomes import apart, whole

ID = UUID(int=7)
NOW = datetime(2026, 11, 28, tzinfo=UTC)
# Of the first release.
FIRST = {"trading": True, "funding": True, "earn": False}
FIRST_VERDICTS = {"complete", "incomplete", "failed", "not_permitted", "not_covered"}


def read(wallet: str, verdict: Verdict) -> WalletRead:
    """Return a wallet with a verdict."""
    match verdict:
        case Verdict.COMPLETE | Verdict.INCOMPLETE:
            return WalletRead(wallet, verdict, NOW, ())
        case Verdict.NOT_DUE:
            return WalletRead(wallet, verdict, NOW)
        case _:
            return WalletRead(wallet, verdict, error_code=Code.RATE_LIMITED, error="late")


def outcome(verdicts: list[Verdict]) -> SyncOutcome:
    """Return the outcome of a worker."""
    wallets = tuple(read(wallet.key, each) for wallet, each in zip(OKX.wallets, verdicts, strict=True))
    status = status_of(wallets)
    if status is Status.FAILED:
        return SyncFailed(ID, ID, "okx", Code.RATE_LIMITED, "late", wallets)
    return SyncCompleted(ID, ID, "okx", status, wallets)


READ = st.sampled_from([each for each in Verdict if each not in {Verdict.NOT_COVERED, Verdict.NOT_DUE}])
OUTCOMES = st.builds(lambda *each: outcome([*each]), READ, READ, READ | st.just(Verdict.NOT_DUE))


@given(OUTCOMES)
def test_nothing_is_lost_on_the_way(said: SyncOutcome) -> None:
    """The gateway of today sees what the worker saw, with the same status."""
    assert whole(apart(said)) == said
    assert whole(said) == said


@given(OUTCOMES)
def test_the_first_gateways_can_record_it(said: SyncOutcome) -> None:
    """They want each wallet once, covered or not as they know it, known verdicts, and the status of these."""
    sent = apart(said)

    assert {each.wallet: each.verdict is not Verdict.NOT_COVERED for each in sent.wallets} == FIRST
    assert {each.verdict for each in sent.wallets} <= FIRST_VERDICTS
    if isinstance(sent, SyncCompleted):
        assert sent.status == status_of(sent.wallets)
    plain = msgspec.structs.replace(sent, further=())
    assert whole(plain) == plain
