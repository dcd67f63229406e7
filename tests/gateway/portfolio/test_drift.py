"""The worth of a list beside the exchange's own total: what the total has more is named."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

import msgspec
import pytest

from contracts.exchanges import EXCHANGES
from contracts.faults import FAULTS, Code
from contracts.syncs import SyncCompleted, Totals, Verdict, WalletRead
from gateway.portfolio.drift import Tolerance, measured, with_missing_worth
from gateway.portfolio.verdicts import wallet_reads
from gateway.rows.drift import Drift

NOW = datetime(2026, 11, 28, tzinfo=UTC)


def read(
    ours: str | None, valued: str | None, stated: str | None = None, *, fits: bool = False, gross: str = "0"
) -> WalletRead:
    """Return a wallet that was read, with the worth of its list and the exchange's totals."""
    listed, own, total = (None if each is None else Decimal(each) for each in (ours, stated, valued))
    told = Totals(listed, Decimal(gross), own, total, fits)
    return WalletRead("earn", Verdict.COMPLETE, NOW, (), totals=told)


@pytest.mark.parametrize(
    ("ours", "theirs", "missing"),
    [
        ("50", "360.5", "310.5"),
        ("0", "1.01", "1.01"),
        ("1000", "1011", "11"),
        ("1000", "1010", None),
        ("0", "1", None),
        ("1000", "900", None),
        (None, "1000", None),
        ("1000", None, None),
    ],
)
def test_a_total_clearly_above_the_list_makes_the_wallet_incomplete(
    ours: str | None, theirs: str | None, missing: str | None
) -> None:
    """By more than 1 % and 1 USD, with the missing USD; an unknown worth proves nothing."""
    told = with_missing_worth(read(ours, theirs), Tolerance())

    assert told.verdict is (Verdict.INCOMPLETE if missing else Verdict.COMPLETE)
    assert told.difference_usd == (None if missing is None else Decimal(missing))
    if missing:
        assert told.error_code == Code.UNLISTED_WORTH
        assert told.error is not None
        assert told.error.startswith(FAULTS[Code.UNLISTED_WORTH].words)
        assert f"{Decimal(missing):.2f} USD" in told.error


def test_the_tolerance_can_be_set() -> None:
    """As a share of the total, or of the gross worth where that is more, and in USD."""
    assert with_missing_worth(read("900", "1000"), Tolerance(Decimal("0.1"))).verdict is Verdict.COMPLETE
    assert with_missing_worth(read("0", "50"), Tolerance(usd=Decimal(50))).verdict is Verdict.COMPLETE
    assert with_missing_worth(read("5", "10", gross="1000"), Tolerance()).verdict is Verdict.COMPLETE


def test_a_list_that_fits_the_total_of_its_own_response_lacks_nothing() -> None:
    """The valuation is of another moment, and of other prices."""
    fitting = read("1000", "2000", "1000", fits=True)

    assert with_missing_worth(fitting, Tolerance()) == fitting
    assert measured(fitting, 7, NOW) == Drift("earn", 7, NOW, Decimal(1000), Decimal(1000), Decimal(0))


def test_the_difference_is_kept_with_its_sign() -> None:
    """Also where nothing is missing; without a price ours is unknown, and without a total there is none."""
    assert measured(read("12", "10"), 7, NOW) == Drift("earn", 7, NOW, Decimal(12), Decimal(10), Decimal(-2))
    assert measured(read(None, "10"), 7, NOW) == Drift("earn", 7, NOW, None, Decimal(10), None)
    assert measured(read("12", None), 7, NOW) is None
    assert measured(WalletRead("earn", Verdict.FAILED), 7, NOW) is None


def test_a_gateway_of_yesterday_ignores_the_earn_wallet(monkeypatch: pytest.MonkeyPatch) -> None:
    """It knows the wallet as not covered: nothing of the read counts, and the sync is no worse for it."""
    okx = EXCHANGES["okx"]
    wallets = tuple(msgspec.structs.replace(wallet, covered=wallet.key != "earn") for wallet in okx.wallets)
    monkeypatch.setitem(EXCHANGES, "okx", msgspec.structs.replace(okx, wallets=wallets))
    told = (*(WalletRead(name, Verdict.COMPLETE, NOW, ()) for name in ("trading", "funding")), read("1", "9"))

    reads = wallet_reads(SyncCompleted(uuid4(), uuid4(), "okx", "completed", told))

    assert [each.verdict for each in reads] == [Verdict.COMPLETE, Verdict.COMPLETE, Verdict.NOT_COVERED]
    assert reads[2] == WalletRead("earn", Verdict.NOT_COVERED)
