"""The possible contents of a sync's outcome."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from contracts.faults import Code
from contracts.syncs import Status, TotalCheck, Verdict, WalletRead, holdings_count, status_of
from contracts.values import Balance

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def complete(wallet: str, *balances: Balance) -> WalletRead:
    """Return a wallet that was read."""
    return WalletRead(wallet, Verdict.COMPLETE, as_of=NOW, balances=balances)


FAILED = WalletRead("funding", Verdict.FAILED, error_code=Code.RATE_LIMITED)
INCOMPLETE = WalletRead("funding", Verdict.INCOMPLETE, NOW, (), error_code=Code.UNREADABLE_ROWS)
DISAGREEING = WalletRead("funding", Verdict.COMPLETE, NOW, (), TotalCheck.DISAGREES)
NOT_PERMITTED = WalletRead("funding", Verdict.NOT_PERMITTED, error_code=Code.PERMISSION_MISSING)
NOT_COVERED = WalletRead("earn", Verdict.NOT_COVERED)


@pytest.mark.parametrize(
    ("wallets", "status"),
    [
        ((complete("trading"), complete("funding"), NOT_COVERED), Status.COMPLETED),
        ((complete("trading"), FAILED, NOT_COVERED), Status.PARTIAL),
        ((complete("trading"), NOT_PERMITTED), Status.PARTIAL),
        ((complete("trading"), INCOMPLETE), Status.PARTIAL),
        ((complete("trading"), DISAGREEING), Status.PARTIAL),
        ((INCOMPLETE, NOT_COVERED), Status.PARTIAL),
        ((FAILED, NOT_COVERED), Status.FAILED),
        ((NOT_COVERED,), Status.FAILED),
        ((), Status.FAILED),
    ],
)
def test_the_status_follows_from_the_covered_wallets(wallets: tuple[WalletRead, ...], status: Status) -> None:
    """All covered wallets read is completed, some are partial, none of them is failed."""
    assert status_of(wallets) is status


@pytest.mark.parametrize(
    "wallet",
    [
        {"verdict": Verdict.COMPLETE, "as_of": NOW},
        {"verdict": Verdict.COMPLETE, "balances": ()},
        {"verdict": Verdict.INCOMPLETE, "as_of": NOW},
    ],
)
def test_a_wallet_that_was_read_has_balances_and_a_time(wallet: dict[str, object]) -> None:
    """A read without a list is not an empty wallet."""
    with pytest.raises(ValueError, match="wallet"):
        WalletRead("trading", **wallet)  # type: ignore[arg-type]  # each case is wrong on purpose


def test_holdings_are_counted_once_per_asset() -> None:
    """Zero balances do not count, negative ones do, and an asset in two wallets counts once."""
    wallets = (
        complete(
            "trading", Balance("BTC", Decimal(1)), Balance("USDT", Decimal(-5)), Balance("ETH", Decimal(0))
        ),
        complete("funding", Balance("BTC", Decimal(2))),
        NOT_COVERED,
    )

    assert holdings_count(wallets) == len({"BTC", "USDT"})


def test_nothing_read_is_not_nothing_held() -> None:
    """The count is unknown, not zero, when no wallet was read."""
    assert holdings_count((FAILED, NOT_COVERED)) is None
