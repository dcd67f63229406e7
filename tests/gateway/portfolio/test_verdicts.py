"""The effect of an outcome on its sync, also of a later version."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

import pytest

from contracts.exchanges.okx import OKX
from contracts.faults import FAULTS, Code
from contracts.syncs import (
    Status,
    SyncCompleted,
    SyncFailed,
    SyncOutcome,
    TotalCheck,
    Totals,
    Verdict,
    WalletRead,
)
from contracts.wire.envelope import Malformed
from gateway.portfolio.verdicts import completed_as_of, unknown_wallets, wallet_reads
from gateway.portfolio.verdicts import ending as ending_of
from gateway.rows.syncs import Ending

NOW = datetime(2026, 11, 24, tzinfo=UTC)
FAILED = WalletRead("funding", Verdict.FAILED, error_code=Code.RATE_LIMITED, error="slow down")


def ending(outcome: SyncOutcome) -> Ending:
    """Return the ending of an outcome whose wallets are all kept as they were read."""
    return ending_of(outcome, wallet_reads(outcome))


def complete(wallet: str) -> WalletRead:
    """Return a wallet that was read."""
    return WalletRead(wallet, Verdict.COMPLETE, NOW, ())


def completed(*wallets: WalletRead, status: str = "completed", exchange: str = "okx") -> SyncOutcome:
    """Return an outcome that claims a status."""
    return SyncCompleted(uuid4(), uuid4(), exchange, status, wallets)


def test_a_further_wallet_takes_the_place_of_one_that_is_not_covered() -> None:
    """It counts where the outcome names it as not covered, or not at all, and never beside a read."""
    apart = WalletRead("earn", Verdict.NOT_DUE, NOW, totals=Totals(valued=Decimal(0)))
    others = complete("trading"), complete("funding")
    for earn, verdict in (
        ((), Verdict.NOT_DUE),
        ((WalletRead("earn", Verdict.NOT_COVERED),), Verdict.NOT_DUE),
        ((complete("earn"),), Verdict.COMPLETE),
        ((WalletRead("earn", Verdict.FAILED, error_code=Code.RATE_LIMITED),), Verdict.FAILED),
    ):
        outcome = SyncCompleted(uuid4(), uuid4(), "okx", "completed", (*others, *earn), further=(apart,))
        assert wallet_reads(outcome)[2].verdict is verdict
    twice = SyncCompleted(uuid4(), uuid4(), "okx", "completed", others, further=(apart, apart))
    with pytest.raises(Malformed):
        wallet_reads(twice)


def test_a_further_wallet_of_a_later_version_is_named() -> None:
    """It is left out like any wallet that this version does not know, and the log says so."""
    later = SyncCompleted(
        uuid4(), uuid4(), "okx", "completed", (complete("trading"),), further=(complete("bots"),)
    )

    assert unknown_wallets(later) == ["bots"]
    assert [read.wallet for read in wallet_reads(later)] == ["trading", "funding", "earn"]


def test_a_sync_that_failed_as_a_whole_failed_for_every_covered_wallet() -> None:
    """A settled sync marks each covered wallet with its code, so that stored balances become stale."""
    outcome = SyncFailed(uuid4(), uuid4(), "okx", Code.DEADLINE_EXCEEDED, "late")

    assert [(read.wallet, read.verdict, read.error_code) for read in wallet_reads(outcome)] == [
        ("trading", Verdict.FAILED, Code.DEADLINE_EXCEEDED),
        ("funding", Verdict.FAILED, Code.DEADLINE_EXCEEDED),
        ("earn", Verdict.FAILED, Code.DEADLINE_EXCEEDED),
    ]


def test_a_failed_sync_counts_no_holdings() -> None:
    """The count of a sync without read wallets is unknown."""
    end = ending(SyncFailed(uuid4(), uuid4(), "okx", Code.KEY_UNKNOWN, "unknown"))

    assert (end.status, end.holdings_count, end.error_code) == (Status.FAILED, None, Code.KEY_UNKNOWN)


@pytest.mark.parametrize("claimed", ["completed", "partial", "adjourned"])
def test_the_status_follows_from_the_wallets_and_not_from_the_message(claimed: str) -> None:
    """A partial outcome that claims another status is partial, and one without read wallets failed."""
    assert ending(completed(complete("trading"), FAILED, status=claimed)).status is Status.PARTIAL
    assert (
        ending(completed(complete("trading"), complete("funding"), status=claimed)).status is Status.COMPLETED
    )
    end = ending(completed(FAILED, status=claimed))
    assert (end.status, end.error_code, end.error) == (
        Status.FAILED,
        Code.RATE_LIMITED,
        FAULTS[Code.RATE_LIMITED].words,
    )


def test_a_failed_outcome_with_wallets_that_were_read_is_partial() -> None:
    """Read wallets count, whatever the kind of the message."""
    outcome = SyncFailed(uuid4(), uuid4(), "okx", Code.RATE_LIMITED, "", (complete("trading"), FAILED))

    assert (ending(outcome).status, ending(outcome).error_code) == (Status.PARTIAL, Code.RATE_LIMITED)


def test_a_wallet_that_the_outcome_lacks_was_not_covered() -> None:
    """It neither makes the sync partial nor moves the time of the last complete sync."""
    outcome = completed(complete("trading"))

    assert [read.verdict for read in wallet_reads(outcome)] == [
        Verdict.COMPLETE,
        Verdict.NOT_COVERED,
        Verdict.NOT_COVERED,
    ]
    assert (ending(outcome).status, completed_as_of(OKX.covered_wallets, wallet_reads(outcome))) == (
        Status.COMPLETED,
        None,
    )


def test_a_wallet_that_is_not_known_is_left_out_and_named() -> None:
    """A later version may read more wallets; their assets do not count here."""
    outcome = completed(*map(complete, ("trading", "funding", "moon", "earn")))

    assert [read.wallet for read in wallet_reads(outcome)] == ["trading", "funding", "earn"]
    assert unknown_wallets(outcome) == ["moon"]
    assert completed_as_of(OKX.covered_wallets, wallet_reads(outcome)) == NOW


def test_an_outcome_of_unknown_wallets_alone_failed() -> None:
    """No wallet known here was read, so the sync failed, with a reason."""
    end = ending(completed(complete("moon")))

    assert (end.status, end.holdings_count, end.error_code) == (Status.FAILED, None, Code.INTERNAL_ERROR)


def test_a_wallet_that_was_not_read_always_says_why() -> None:
    """An unknown verdict of a later version drops its data and counts as internal_error."""
    told = WalletRead("trading", Verdict.FAILED, NOW, ())

    (read, *_) = wallet_reads(completed(told, complete("funding")))

    assert (read.balances, read.as_of, read.error_code) == (None, None, Code.INTERNAL_ERROR)
    assert read.error


@pytest.mark.parametrize(
    "outcome",
    [completed(complete("trading"), exchange="moon"), completed(complete("trading"), complete("trading"))],
)
def test_an_outcome_that_contradicts_itself_is_malformed(outcome: SyncOutcome) -> None:
    """The gateway records no outcome with an unknown exchange or a wallet named twice."""
    with pytest.raises(Malformed):
        ending(outcome)


def test_a_disagreeing_valuation_makes_the_sync_partial_and_is_its_reason() -> None:
    """Without another fault, the sync says that the exchange's total disagrees."""
    told = WalletRead("trading", Verdict.COMPLETE, NOW, (), TotalCheck.DISAGREES)
    outcome = completed(told, complete("funding"))

    assert (ending(outcome).status, ending(outcome).error_code) == (Status.PARTIAL, Code.TOTAL_DISAGREES)
    assert completed_as_of(OKX.covered_wallets, wallet_reads(outcome)) is None


def test_the_words_for_an_unknown_code_of_the_exchange_are_ours() -> None:
    """Code and endpoint have their own fields, and users read no words of a worker."""
    told = WalletRead(
        "funding",
        Verdict.FAILED,
        error_code=Code.EXCHANGE_ERROR,
        error="click here",
        exchange_code="-1",
        endpoint="asset_balances",
    )

    verdict = ending(completed(complete("trading"), told)).wallets[1]

    assert (verdict.exchange_code, verdict.endpoint) == ("-1", "asset_balances")
    assert "click" not in str(verdict.error)
    assert "code -1" in str(verdict.error)


def test_an_incomplete_wallet_says_why() -> None:
    """An incomplete wallet without a code, as a later version may send it, gets one here."""
    told = WalletRead("trading", Verdict.INCOMPLETE, NOW, ())

    (verdict, *_) = ending(completed(told, complete("funding"))).wallets

    assert verdict.error_code == Code.UNREADABLE_ROWS
    assert verdict.error
