"""The verdict on Binance's earn wallet: one list from several reads. Pure.

The wallet adds up flexible and locked Simple Earn, on-chain yields and dual investments. Staked ETH and SOL,
BFUSD, RWUSD and soft staking are assets of the spot wallet, which this wallet must not count again. Source:
https://developers.binance.com/docs/simple_earn, /docs/staking and /docs/dual_investment.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec

from contracts import reasons
from contracts.exchanges.binance import BINANCE
from contracts.exchanges.types import Read
from contracts.faults import Code, Failure, failure, fault_of
from contracts.syncs import WalletRead
from contracts.values import Balance
from sync_worker.errors import UnexpectedResponse
from sync_worker.exchanges.binance.lists import Prices, added_up
from sync_worker.exchanges.parts import Entry, collected, unread_part, without_parts, worst
from sync_worker.exchanges.rows import Fields, Naming, Row, Unreadable, held_amount, parse_rows, rows_of
from sync_worker.exchanges.values import SHAPE
from sync_worker.verdicts import Fetched, judge, unread

EARN = "earn"
PAGE = 100
# Ten pages are a thousand positions; a list that goes on is not whole.
MAX_PAGES = 10
TOTAL = re.compile(r"[0-9]{1,9}", re.ASCII)
# States of a dual investment whose principal is in no other list, and states in which another list may have
# it.
DUAL_HELD, DUAL_MOVING = ("PURCHASE_SUCCESS", "SETTLING"), ("PENDING", "REFUNDING")


class Pages(msgspec.Struct, frozen=True):
    """A list in pages: its name, read, query of a page, fields of its rows, and the names of these.

    `state` is the value of `status` that its rows have, if it is a list of one state.
    """

    name: str
    read: str
    number: str
    size: str
    rows: str
    amount: str
    asset: str
    id: str
    state: str = ""

    def page(self, number: int) -> Read:
        """Return the read of a page, from 1."""
        state = {"status": self.state} if self.state else {}
        return Read(self.read, {**state, self.size: str(PAGE), self.number: str(number)})


def _earning(name: str, amount: str, number: str) -> Pages:
    return Pages(name, name, "current", "size", "rows", amount, "asset", number)


def _dual(state: str) -> Pages:
    names = ("pageIndex", "pageSize", "list", "subscriptionAmount", "investCoin", "id")
    return Pages(f"dual_{state.lower()}", "dual_positions", *names, state)


FLEXIBLE = _earning("flexible_positions", "totalAmount", "productId")
LOCKED = _earning("locked_positions", "amount", "positionId")
LISTS = (
    *(FLEXIBLE, LOCKED, _earning("onchain_positions", "amount", "positionId")),
    # In the order of their coming, so that one that moves on meanwhile is in two lists and not in none.
    *map(_dual, (DUAL_MOVING[0], *DUAL_HELD, DUAL_MOVING[1])),
)

# The pages of a list as they were read, or the fault of one of them.
Found = Sequence[Fetched | Failure]


def needs_more(pages: Pages, found: Found) -> bool:
    """Return whether a list has a further page; raises UnexpectedResponse."""
    last = found[-1]
    if isinstance(last, Failure) or len(found) >= MAX_PAGES:
        return False
    rows, total = _page(pages, last.data)
    counted = sum(len(_page(pages, each.data)[0]) for each in found if isinstance(each, Fetched))
    return bool(rows) and counted < total


def judge_earn(found: Mapping[str, Found], prices: Prices, valued: Decimal | None) -> WalletRead:
    """Return the verdict on the earn wallet; `found` has the pages of each list by its name.

    A list that failed for a moment makes the wallet failed, because the next try may read it. Any other one
    makes it incomplete: the other lists are shown.
    """
    failed = [
        (pages.name, each) for pages in LISTS for each in found[pages.name] if isinstance(each, Failure)
    ]
    named = dict(failed)
    read = [pages for pages in LISTS if pages.name not in named]
    seen: set[str] = set()
    parts = {pages.name: partial(entries_of, pages, found[pages.name], seen) for pages in read}
    entries = collected(parts, failed)
    fetched = [each for pages in read for each in found[pages.name] if isinstance(each, Fetched)]
    if len(failed) >= len(LISTS) or not fetched:
        return unread(EARN, worst(failed)[1])
    if any(fault_of(fault.code).retryable for _, fault in failed):
        return unread_part(EARN, *worst(failed))
    oldest = min(fetched, key=lambda each: each.as_of)
    told = judge(EARN, lambda _data: added_up(entries, prices), oldest, valued)
    return without_parts(told, failed) if failed else told


def assets_in(pages: Pages, found: Found) -> frozenset[str]:
    """Return the assets of a list; none if it could not be read whole."""
    try:
        return frozenset(each.asset for each in entries_of(pages, found) if each.asset is not None)
    except (Failure, ValueError, ArithmeticError):
        return frozenset()


def entries_of(pages: Pages, found: Found, seen: set[str] | None = None) -> list[Entry]:
    """Return the amounts of a list from all of its pages; raises Failure if it is not whole.

    `seen` are the dual investments of earlier lists: one that moved on to the next state meanwhile counts
    once.
    """
    rows: list[Any] = []
    totals: set[int] = set()
    for each in found:
        if isinstance(each, Failure):
            raise each
        more, total = _page(pages, each.data)
        rows += more
        totals.add(total)
    # With another total on a later page the list changed between them, and a row may have moved past both.
    if totals != {len(rows)} or _repeats(pages, rows):
        raise failure(Code.UNREAD_PARTS)
    if pages.state and seen is not None:
        rows = [row for row in rows if not _is_seen(pages, row, seen)]
    read: Callable[[Fields], Row] = partial(_row, pages)
    entries = parse_rows(rows, read, Naming(BINANCE, pages.asset))
    rows_of(entries)  # refuses a list without a readable row
    return entries


def _is_seen(pages: Pages, row: Any, seen: set[str]) -> bool:
    number = row.get(pages.id) if isinstance(row, dict) else None
    if not isinstance(number, str) or number not in seen:
        seen.add(str(number))
        return False
    return True


def _row(pages: Pages, fields: Fields) -> Row:
    """Parse an amount; raises Unreadable, also for a state in which the amount may be in another list."""
    asset, amount = Naming(BINANCE, pages.asset).asset_of(fields), held_amount(fields, pages.amount)
    if pages.state in DUAL_MOVING:
        raise Unreadable(reasons.IN_REDEMPTION)
    return Row(Balance(asset, amount), None)


def _page(pages: Pages, data: Any) -> tuple[list[Any], int]:
    """Return the rows of a page, and the number of rows of the whole list; raises UnexpectedResponse."""
    fields = data if isinstance(data, dict) else {}
    rows, total = fields.get(pages.rows), fields.get("total")
    if not isinstance(rows, list) or not isinstance(total, str) or not TOTAL.fullmatch(total):
        raise UnexpectedResponse(SHAPE)
    return rows, int(total)


def _repeats(pages: Pages, rows: Sequence[Any]) -> bool:
    """Return whether a position is listed twice: on one page, or on two because the list changed meanwhile.

    Rows of several pages without an id cannot be told apart.
    """
    ids = [row.get(pages.id) for row in rows if isinstance(row, dict)]
    named = [each for each in ids if isinstance(each, str)]
    return len(set(named)) < len(named) or (len(rows) > PAGE and len(named) < len(ids))
