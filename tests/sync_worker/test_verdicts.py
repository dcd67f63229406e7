"""The verdict on a list beside the totals: that of its own answer tightly, the valuation widely."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.faults import Code
from contracts.syncs import TotalCheck, Totals, UnreadableRow, Verdict, WalletRead
from contracts.values import Balance
from contracts.wire.envelope import decode, encode
from sync_worker.errors import ContradictoryTotal
from sync_worker.verdicts import Fetched, Listed, Worth, check_total, judge
from tests.sync_worker.wording import NOW, bitcoin

AGREES, DISAGREES, UNCHECKED = TotalCheck.AGREES, TotalCheck.DISAGREES, TotalCheck.UNCHECKED
NAMELESS = "the currency has no name"


def listing(*worths: str, stated: str | None = None, lost: str | None = None) -> Listed:
    """Write a list of rows that are worth so much, and one that could not be read but for its worth."""
    usds = [Decimal(worth) for worth in (*worths, *([lost] if lost else []))]
    worth = Worth(sum(usds, Decimal(0)), sum(map(abs, usds), Decimal(0)))
    balances = tuple(Balance(f"C{number}", Decimal(worth)) for number, worth in enumerate(worths))
    unreadable = (UnreadableRow(NAMELESS, None, usds[-1]),) if lost else ()
    return Listed(balances, worth, Decimal(stated) if stated else None, unreadable)


def judged(listed: Listed, valued: str | None = None, tolerance: str = "0.001") -> WalletRead:
    """Return the verdict on a list."""
    total = Decimal(valued) if valued else None
    return judge("trading", lambda _data: listed, Fetched(NOW, None), total, Decimal(tolerance))


@pytest.mark.parametrize(
    ("worths", "stated", "fits"),
    [
        (["64000"], "64000", True),
        (["64000"], "64064", True),
        (["64000"], "64065", False),
        (["64000"], "63936", True),
        (["64000"], "63935", False),
        (["64000"], "60000", False),
        (["64000"], "70000", False),
        (["5"], "5.01", True),
        (["5"], "5.02", False),
        (["5"], "4.98", False),
        (["3"], "12.9", False),
        (["9"], "0", False),
        (["0.5"], "0.005", False),
        (["100000", "-97500"], "2600", True),  # a tenth of a percent is of the gross worth
        (["100000", "-97500"], "2698", False),
        (["-64000"], "-64000", True),
        (["0"], "0", True),
        ([], "0", True),
        ([], "0.01", True),
    ],
)
def test_a_list_is_held_tightly_against_its_own_total(worths: list[str], stated: str, fits: bool) -> None:  # noqa: FBT001
    """Up to a thousandth, or a cent, it fits; up to a tenth, or ten dollars, it is shown as incomplete."""
    read = judged(listing(*worths, stated=stated), stated)

    difference = Decimal(stated) - sum(map(Decimal, worths))
    assert read.totals is not None
    assert read.totals.fits is fits
    assert read.balances is not None
    if fits:
        assert (read.verdict, read.error_code, read.difference_usd) == (Verdict.COMPLETE, None, None)
        assert read.total_check is AGREES
    else:
        assert (read.verdict, read.error_code) == (Verdict.INCOMPLETE, Code.TOTAL_DISAGREES)
        assert read.difference_usd == difference
        assert read.error is not None
        assert f"{abs(difference):.2f} USD {'less' if difference > 0 else 'more'}" in read.error
        assert read.total_check is DISAGREES  # although the valuation, of another moment, would agree


@pytest.mark.parametrize(
    ("worths", "stated"),
    [
        (["64000"], "128000"),
        (["64000"], "32000"),
        (["64000"], "0"),
        (["64000"], "-64000"),
        (["64000"], "71112"),
        (["1"], "20"),
        (["100000", "-97500"], "30000"),
    ],
)
def test_a_list_of_another_worth_contradicts_its_own_total(worths: list[str], stated: str) -> None:
    """No answer denies itself by more than a tenth and ten dollars; the valuation changes nothing in it."""
    for valued in (None, stated, "64000"):
        read = judged(listing(*worths, stated=stated), valued)

        assert (read.verdict, read.error_code) == (Verdict.FAILED, Code.CONTRADICTORY_TOTAL)
        assert read.balances is None


@pytest.mark.parametrize(("tolerance", "fits"), [("0.001", False), ("0.02", True), ("0.1", True)])
def test_the_tolerance_can_be_widened(tolerance: str, fits: bool) -> None:  # noqa: FBT001
    """OKX does not document that the total is the sum of the list."""
    read = judged(listing("63000", stated="64000"), None, tolerance)

    assert read.verdict is (Verdict.COMPLETE if fits else Verdict.INCOMPLETE)


@pytest.mark.parametrize(
    "listed", [Listed(()), Listed((bitcoin("0"),)), Listed((bitcoin("0"),), Worth(whole=False))]
)
@pytest.mark.parametrize("total", ["0.02", "-5", "100"])
def test_a_list_without_amounts_contradicts_every_total(listed: Listed, total: str) -> None:
    """Beside its own total or the valuation, whichever is there, an empty list is never believed."""
    with pytest.raises(ContradictoryTotal):
        check_total(listed, Decimal(total))
    for valued in (None, Decimal(0)):
        with pytest.raises(ContradictoryTotal):
            check_total(Listed(listed.balances, listed.worth, Decimal(total)), valued)


def test_a_row_that_can_not_be_read_is_no_empty_list() -> None:
    """Its worth counts in the sum: it says that something is there."""
    read = judged(listing("0", stated="3000", lost="3000"), "3000")

    assert (read.verdict, read.error_code) == (Verdict.INCOMPLETE, Code.UNREADABLE_ROWS)
    assert read.total_check is AGREES


def test_a_row_whose_worth_is_not_known_fills_no_list() -> None:
    """Beside a total, a list in which no amount can be read is not stored."""
    unknown = Worth(whole=False, least=False)
    listed = Listed((bitcoin("0"),), unknown, Decimal(3000), (UnreadableRow(NAMELESS, "ETH"),))

    assert judged(listed).error_code == Code.CONTRADICTORY_TOTAL


@pytest.mark.parametrize(
    ("worths", "valued", "check"),
    [
        (["64000"], "64000", AGREES),
        (["64000"], "71000", AGREES),
        (["64000"], "71200", DISAGREES),
        (["64000"], "57600", AGREES),
        (["64000"], "57500", DISAGREES),
        (["64000"], "0", DISAGREES),
        (["64000"], "6400000", DISAGREES),
        (["3"], "12.9", AGREES),
        (["3"], "13.1", DISAGREES),
        (["9"], "0", AGREES),
        (["-64000"], "-64000", AGREES),
        # A large short position: the net worth is a fortieth of the gross.
        (["100000", "-97500"], "2500", AGREES),
        (["100000", "-97500"], "12000", AGREES),
        (["100000", "-97500"], "-7000", AGREES),
        (["100000", "-97500"], "30000", DISAGREES),
        (["64000"], None, UNCHECKED),
        ([], None, UNCHECKED),
        ([], "0.01", AGREES),
    ],
)
def test_a_list_is_held_widely_against_the_valuation(
    worths: list[str], valued: str | None, check: TotalCheck
) -> None:
    """It is of another moment: what disagrees is shown, and said to disagree."""
    read = judged(listing(*worths, stated=str(sum(map(Decimal, worths)))), valued)

    assert (read.verdict, read.error_code, read.error) == (Verdict.COMPLETE, None, None)
    assert read.total_check is check
    assert read.balances is not None


def unpriced(*worths: str, stated: str | None = None, least: bool = True) -> Listed:
    """Write a list of which one row has no price."""
    priced = listing(*worths, stated=stated)
    worth = Worth(priced.worth.usd, priced.worth.gross, whole=False, least=least)
    return Listed((*priced.balances, bitcoin()), worth, priced.stated)


@pytest.mark.parametrize(("stated", "valued"), [("64000", "64000"), ("65000", "1000000"), ("63900", None)])
def test_a_list_with_a_row_without_a_price_is_held_against_nothing(stated: str, valued: str | None) -> None:
    """That row may be worth whatever is missing: the list fits nothing and agrees with nothing."""
    read = judged(unpriced("64000", stated=stated), valued)

    assert (read.verdict, read.total_check) == (Verdict.COMPLETE, UNCHECKED)
    assert read.totals == Totals(stated=Decimal(stated), valued=Decimal(valued) if valued else None)


def test_rows_that_are_worth_more_than_all_are_noticed_without_the_last_price() -> None:
    """A row without a price adds to them, unless it is a debt or could not be read."""
    assert judged(unpriced("64000", stated="32000")).error_code == Code.CONTRADICTORY_TOTAL
    assert judged(unpriced("64000"), "32000").total_check is DISAGREES
    assert judged(unpriced("64000", stated="32000", least=False), "32000").total_check is UNCHECKED


def test_an_unreadable_row_s_worth_counts_in_the_sum() -> None:
    """The list fits with it; where it does not, both are told, and the difference."""
    fitting = judged(listing("64000", stated="64500", lost="500"), "64500")
    short = judged(listing("64000", stated="65500", lost="500"), "64500")
    far = judged(listing("64000", stated="129000", lost="500"))

    assert (fitting.error_code, fitting.total_check) == (Code.UNREADABLE_ROWS, AGREES)
    whole = Decimal(64500)
    assert fitting.totals == Totals(listed=whole, gross=whole, stated=whole, valued=whole, fits=True)
    assert (short.error_code, short.total_check, short.difference_usd) == (
        Code.UNREADABLE_ROWS,
        DISAGREES,
        Decimal(1000),
    )
    assert short.error == (
        f"1 of 2 rows could not be read: {NAMELESS}. "
        "The list is worth 1000.00 USD less than the total that came with it."
    )
    assert far.error_code == Code.CONTRADICTORY_TOTAL


def test_the_totals_of_an_empty_list_are_zero() -> None:
    """Nothing is worth nothing, and that is known."""
    read = judged(Listed(()), "0")

    assert (read.verdict, read.total_check) == (Verdict.COMPLETE, AGREES)
    assert read.totals == Totals(Decimal(0), Decimal(0), None, Decimal(0))


def test_a_sum_that_no_message_carries_is_not_known() -> None:
    """One with too many decimals is rounded, and one that is too large is left out."""
    tiny = Decimal("0." + "3" * 45)
    small, large = Listed((bitcoin(),), Worth(tiny, tiny)), listing("9E39", "9E39")

    rounded = Decimal("0." + "3" * 18)
    assert judged(small).totals == Totals(listed=rounded, gross=rounded)
    assert judged(large).totals == Totals()


# Whatever parse_amount takes.
HUGE = st.builds("{}E-{}".format, st.integers(-(10**40) + 1, 10**40 - 1), st.integers(0, 40))


@given(
    worths=st.lists(HUGE, max_size=4),
    stated=st.none() | HUGE,
    valued=st.none() | HUGE,
)
def test_every_verdict_can_be_sent(worths: list[str], stated: str | None, valued: str | None) -> None:
    """However large or small the sums, the message carries them or says that they are not known."""
    read = judged(listing(*worths, stated=stated), valued)

    assert decode(encode(read), WalletRead) == read
