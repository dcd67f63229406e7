"""An asset is gone when a total of the exchange confirms it, or when it is missing again later."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.syncs import Totals, UnreadableRow, Verdict, WalletRead
from contracts.values import Balance
from gateway.portfolio.losses import LONGEST_HOLD, Moment, is_confirmed, judge_losses
from gateway.rows.balances import Missing

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
PATIENCE = timedelta(minutes=5)
NAMELESS = UnreadableRow("the currency has no name", usd=Decimal("0.00000003"))


def usd(text: str | None) -> Decimal | None:
    """Return an amount in USD."""
    return None if text is None else Decimal(text)


def listed(
    *assets: str, totals: Totals | None = None, unreadable: tuple[UnreadableRow, ...] = ()
) -> WalletRead:
    """Return a list that was read."""
    balances = tuple(Balance(asset, Decimal(1)) for asset in assets)
    verdict = Verdict.INCOMPLETE if unreadable else Verdict.COMPLETE
    return WalletRead(
        "trading",
        verdict,
        NOW,
        balances,
        totals=totals,
        unreadable=unreadable,
        unreadable_count=len(unreadable),
    )


def at(seconds: float) -> Moment:
    """Return the time of a sync that is recorded at once."""
    time = NOW + timedelta(seconds=seconds)
    return Moment(time, time, PATIENCE)


def totals(listed: str | None, stated: str | None, valued: str | None, *, fits: bool = False) -> Totals:
    """Return totals in USD."""
    return Totals(usd(listed), usd(listed), usd(stated), usd(valued), fits=fits)


@pytest.mark.parametrize(
    ("said", "confirmed"),
    [
        (None, False),
        (totals("100", None, None), False),
        (totals("100", "100", None, fits=True), True),
        (totals("100", "120", None), False),
        (totals("0", "0", None, fits=True), False),
        (totals("-5", "-5", None, fits=True), False),
        (totals("100", None, "100.9"), True),
        (totals("100", None, "101.1"), False),
        (totals("10000", None, "10099"), True),
        (totals("10000", None, "10102"), False),
        (totals("9000", None, "10000"), False),
        (totals(None, None, "10000"), False),
    ],
)
def test_a_total_confirms_a_list_when_it_fits(said: Totals | None, confirmed: bool) -> None:  # noqa: FBT001
    """The total of the same response must be above zero, the valuation within 1 % and at least 1 USD."""
    assert is_confirmed(listed("BTC", totals=said)) is confirmed


def test_a_valuation_of_zero_confirms_an_empty_wallet() -> None:
    """Zero proves no asset; a list with an asset in it is not empty."""
    assert is_confirmed(listed(totals=totals("0", None, "0")))
    assert not is_confirmed(listed("BTC", totals=Totals(None, valued=Decimal(0))))


@pytest.mark.parametrize(
    ("row", "confirmed"),
    [
        (NAMELESS, True),
        (UnreadableRow("no amount", asset="DOGE", usd=Decimal(50)), True),
        (UnreadableRow("the currency has no name", usd=Decimal(50)), False),
        (UnreadableRow("the currency has no name"), False),
    ],
)
def test_a_row_without_a_name_that_is_worth_something_may_be_the_missing_asset(
    row: UnreadableRow,
    confirmed: bool,  # noqa: FBT001
) -> None:
    """No total says which asset such a row is; dust and rows with a name do not matter."""
    said = totals("100", "100", None, fits=True)

    assert is_confirmed(listed("BTC", totals=said, unreadable=(row,))) is confirmed


def test_a_list_that_lacks_nothing_is_accepted() -> None:
    """New assets, smaller amounts and unreadable rows are not losses."""
    read = listed("BTC", "ETH", unreadable=(UnreadableRow("no amount", asset="SOL"),))

    assert judge_losses(["BTC", "SOL"], read, None, at(0)).missing is None


def test_a_confirmed_loss_is_gone_at_once() -> None:
    """The exchange's own total confirms that the list is whole."""
    read = listed("BTC", totals=totals("100", "100", None, fits=True))

    losses = judge_losses(["BTC", "ETH"], read, None, at(0))

    assert (losses.gone, losses.missing) == (frozenset({"ETH"}), None)


def test_an_unconfirmed_loss_holds_the_list_back_until_it_is_seen_again() -> None:
    """Each missing asset has its own clock, which starts when its loss is first recorded."""
    first = judge_losses(["BTC", "ETH"], listed("BTC"), None, at(0))
    assert (first.gone, first.missing) == (frozenset(), Missing(NOW, {"ETH": NOW}))

    second = judge_losses(["BTC", "ETH"], listed(), first.missing, at(200))
    assert second.gone == frozenset()
    assert second.missing == Missing(NOW, {"BTC": at(200).recorded_at, "ETH": NOW})

    third = judge_losses(["BTC", "ETH"], listed(), second.missing, at(300))
    assert (third.gone, third.missing) == (frozenset({"ETH"}), Missing(NOW, {"BTC": at(200).recorded_at}))

    fourth = judge_losses(["BTC"], listed(), third.missing, at(500))
    assert (fourth.gone, fourth.missing) == (frozenset({"BTC"}), None)


def test_an_outcome_that_was_recorded_late_does_not_run_the_clock() -> None:
    """Two reads of the same minute do not confirm each other, however late the second is recorded."""
    first = judge_losses(["ETH"], listed(), None, at(0))
    late = Moment(NOW + timedelta(seconds=10), NOW + timedelta(seconds=900), PATIENCE)

    assert judge_losses(["ETH"], listed(), first.missing, late).missing is not None


def test_an_asset_that_is_back_starts_anew() -> None:
    """The absences of a flickering asset never add up to a loss."""
    first = judge_losses(["BTC", "ETH"], listed("BTC"), None, at(0))
    back = judge_losses(["BTC", "ETH"], listed("BTC", "ETH"), first.missing, at(200))
    again = judge_losses(["BTC", "ETH"], listed("BTC"), back.missing, at(400))

    assert again.missing == Missing(at(400).recorded_at, {"ETH": at(400).recorded_at})


@given(st.lists(st.sets(st.sampled_from("ABCDEF")), min_size=20, max_size=30))
def test_no_loss_holds_a_list_back_for_more_than_an_hour(lists: list[set[str]]) -> None:
    """In whatever order assets go missing, a list is shown after an hour at the latest."""
    missing: Missing | None = None
    held_since: datetime | None = None
    for number, assets in enumerate(lists):
        moment = at(number * 290)
        losses = judge_losses(list("ABCDEF"), listed(*assets), missing, moment)
        missing = losses.missing
        if missing is None or losses.released:
            held_since = None
            continue
        held_since = held_since or moment.recorded_at
        assert moment.recorded_at - held_since < LONGEST_HOLD


@pytest.mark.parametrize("seconds", [300, 3700, 86_400, 31_536_000])
def test_a_loss_that_was_never_seen_before_is_not_believed(seconds: float) -> None:
    """It waits for its own second sighting, however long ago another asset was missing."""
    first = judge_losses(["BTC", "ETH", "X"], listed("BTC", "ETH"), None, at(0))

    losses = judge_losses(["BTC", "ETH", "X"], listed("X"), first.missing, at(seconds))

    seen = at(seconds).recorded_at
    assert losses.gone == frozenset()
    assert losses.missing == Missing(NOW, {"BTC": seen, "ETH": seen})
    assert losses.released is (seconds > LONGEST_HOLD.total_seconds())


def test_after_an_hour_the_list_is_shown_with_what_is_newly_missing_beside_it() -> None:
    """A loss that lasts for an hour delays no list, and confirms no other loss."""
    first = judge_losses(["BTC", "ETH"], listed("BTC"), None, at(0))

    losses = judge_losses(["BTC", "ETH"], listed(), first.missing, at(3700))

    assert (losses.gone, losses.released) == (frozenset({"ETH"}), True)
    assert losses.missing == Missing(NOW, {"BTC": at(3700).recorded_at})
