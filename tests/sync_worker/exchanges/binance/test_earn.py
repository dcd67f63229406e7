"""Binance's earn wallet: every list counts whole or not at all, and each position once."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from contracts.faults import Code, Failure, failure
from contracts.syncs import Verdict, WalletRead
from sync_worker.exchanges.binance.earn import (
    FLEXIBLE,
    LISTS,
    LOCKED,
    MAX_PAGES,
    PAGE,
    assets_in,
    judge_earn,
    needs_more,
)
from sync_worker.verdicts import Fetched
from tests.sync_worker.exchanges.binance.answers import documented, fetched, page
from tests.sync_worker.wording import NOW

Found = dict[str, list[Fetched | Failure]]


def nothing() -> Found:
    """Return the reads of an account without a position."""
    return {pages.name: [page(name=pages.rows)] for pages in LISTS}


def judged(**found: list[Any]) -> WalletRead:
    """Return the verdict on lists; a list that is not given is empty."""
    return judge_earn(nothing() | found, {}, None)


def totals(read: WalletRead) -> dict[str, Decimal]:
    """Return the totals by asset."""
    return {balance.asset: balance.total for balance in read.balances or ()}


def flexible(asset: str, amount: str) -> dict[str, str]:
    """Return a flexible position."""
    return {"asset": asset, "totalAmount": amount, "productId": f"{asset}001"}


def dual(state: str, number: str = "1") -> dict[str, str]:
    """Return a dual investment of 0.25 BTC."""
    return {"id": number, "investCoin": "BTC", "subscriptionAmount": "0.25", "purchaseStatus": state}


def test_documented_positions_count_with_their_principal(facts: Path) -> None:
    """Rewards, redemptions and collateral are in no documented relation to it, so that they add nothing."""
    read = judged(
        flexible_positions=[Fetched(NOW, documented(facts, "sapi_simple-earn_flexible_position.0"))],
        locked_positions=[Fetched(NOW, documented(facts, "sapi_simple-earn_locked_position.0"))],
    )

    assert read.verdict is Verdict.COMPLETE
    assert totals(read) == {"USDT": Decimal("75.46"), "AXS": Decimal("122.09202928")}


def test_positions_of_one_asset_are_added_up() -> None:
    """Over all lists."""
    locked = {"asset": "BTC", "amount": "0.5", "positionId": 7}
    read = judged(
        flexible_positions=[page(flexible("BTC", "1"))],
        locked_positions=[page(locked)],
        onchain_positions=[page(locked)],
        dual_purchase_success=[page(dual("PURCHASE_SUCCESS"), name="list")],
    )

    assert totals(read) == {"BTC": Decimal("2.25")}


def test_an_investment_that_moves_on_meanwhile_counts_once() -> None:
    """It is in the lists of two states."""
    read = judged(
        dual_purchase_success=[page(dual("PURCHASE_SUCCESS"), name="list")],
        dual_settling=[page(dual("SETTLING"), dual("SETTLING", "2"), name="list")],
    )

    assert totals(read) == {"BTC": Decimal("0.5")}


@pytest.mark.parametrize("state", ["PENDING", "REFUNDING"])
def test_an_investment_on_its_way_is_not_told(state: str) -> None:
    """Binance does not document whether another list has the amount."""
    read = judged(
        flexible_positions=[page(flexible("USDT", "5"))],
        **{f"dual_{state.lower()}": [page(dual(state), name="list")]},
    )

    assert read.verdict is Verdict.INCOMPLETE


def test_further_pages_follow_until_the_list_is_whole() -> None:
    """The list says how many rows it has, and is not read without an end."""
    first = page(*(flexible(f"C{number}", "1") for number in range(PAGE)), total=PAGE + 1)
    second = page(flexible("LAST", "1"), total=PAGE + 1)

    assert needs_more(FLEXIBLE, [first])
    assert not needs_more(FLEXIBLE, [first, second])
    assert not needs_more(FLEXIBLE, [page(total=5)])
    assert not needs_more(FLEXIBLE, [first] * MAX_PAGES)
    assert len(totals(judged(flexible_positions=[first, second]))) == PAGE + 1


@pytest.mark.parametrize(
    "pages",
    [
        [page(flexible("BTC", "1"), total=2)],
        [page(flexible("BTC", "1"), total=0)],
        [
            page(*(flexible(f"C{number}", "1") for number in range(PAGE)), total=PAGE + 1),
            page(flexible("C0", "1"), total=PAGE + 1),
        ],
        [
            page(*(flexible(f"C{number}", "1") for number in range(PAGE)), total=PAGE + 2),
            page(flexible("LAST", "1"), total=PAGE + 1),
        ],
        [
            page(*[{**flexible("C", "1"), "productId": []}] * PAGE, total=PAGE + 1),
            page(flexible("LAST", "1"), total=PAGE + 1),
        ],
        [page(flexible("BTC", "1"), flexible("BTC", "1"))],
        [fetched({"rows": [], "total": "many"})],
        [fetched([])],
    ],
)
def test_a_list_that_is_not_whole_counts_not_at_all(pages: list[Fetched]) -> None:
    """One that has fewer or more rows than it says, or one row twice, or no documented shape.

    If a total changes between pages, a position left the first page and another one slid past the second.
    """
    other = page({"asset": "AXS", "amount": "3", "positionId": 1})
    read = judged(flexible_positions=pages, locked_positions=[other])

    assert (read.verdict, read.error_code) == (Verdict.INCOMPLETE, Code.UNREAD_PARTS)
    assert read.unread_parts == ("flexible_positions",)
    assert totals(read) == {"AXS": Decimal(3)}
    assert assets_in(FLEXIBLE, pages) == frozenset()


def test_the_assets_of_flexible_positions_are_known() -> None:
    """Spot leaves their rows out."""
    found = [page(flexible("BTC", "1"), flexible("USDT", "2"))]

    assert assets_in(FLEXIBLE, found) == {"BTC", "USDT"}
    assert LOCKED.page(2).query == {"size": "100", "current": "2"}


def test_a_list_that_may_be_read_by_the_next_try_fails_the_wallet() -> None:
    """The user sees the last complete one meanwhile."""
    read = judged(
        flexible_positions=[page(flexible("BTC", "1"))], locked_positions=[failure(Code.EXCHANGE_TIMEOUT)]
    )

    assert (read.verdict, read.error_code, read.endpoint) == (
        Verdict.FAILED,
        Code.EXCHANGE_TIMEOUT,
        "locked_positions",
    )


def test_a_list_that_no_try_reads_hides_no_other() -> None:
    """The wallet is incomplete, and says which list it lacks."""
    read = judged(
        flexible_positions=[page(flexible("BTC", "1"))], onchain_positions=[failure(Code.PERMISSION_MISSING)]
    )

    assert (read.verdict, totals(read)) == (Verdict.INCOMPLETE, {"BTC": Decimal(1)})
    assert read.unread_parts == ("onchain_positions",)


def test_a_key_without_the_right_to_read_earn_is_told_so() -> None:
    """The user can add it."""
    refused = failure(Code.PERMISSION_MISSING)
    read = judge_earn({pages.name: [refused] for pages in LISTS}, {}, None)

    assert (read.verdict, read.error_code) == (Verdict.NOT_PERMITTED, Code.PERMISSION_MISSING)


def test_lists_without_a_readable_row_are_unread() -> None:
    """They do not make an empty wallet."""
    bad = page({"asset": "BTC", "totalAmount": "x"})
    read = judged(flexible_positions=[bad])

    assert read.verdict is Verdict.INCOMPLETE
    assert read.unread_parts == ("flexible_positions",)
