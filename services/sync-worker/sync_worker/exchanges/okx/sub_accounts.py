"""OKX's sub-accounts: the list that the key of a master reads, and the wallets of one of them. Pure.

Source: https://www.okx.com/docs-v5/en/#sub-account-rest-api-get-sub-account-list and its neighbours.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from contracts.exchanges.types import Read
from contracts.faults import Code, Failure, failure
from contracts.syncs import (
    MAX_SUB_ACCOUNTS,
    SubAccount,
    SubAccountList,
    TotalCheck,
    Verdict,
    WalletRead,
)
from sync_worker.errors import UnexpectedResponse
from sync_worker.exchanges.lenient_json import is_whole
from sync_worker.exchanges.okx.earn import EARN
from sync_worker.exchanges.okx.wallets import judge_wallets
from sync_worker.exchanges.values import SHAPE, UID
from sync_worker.verdicts import Fetched, parsed, unread

LIST = "sub_accounts"
PAGE, MAX_PAGES = 100, 3
MAX_NAME = 64
MAX_DIGITS = 15
# OKX values the wallets of the key's own account only.
NOT_VALUED = failure(Code.NOT_AVAILABLE)


class Page(msgspec.Struct, frozen=True):
    """One page of the list: its readable rows, and the number of all rows.

    `after` asks for the rows from the oldest one on, None if no row has a time.
    """

    sub_accounts: tuple[SubAccount, ...]
    rows: int
    after: str | None = None


def page_read(after: str | None = None) -> Read:
    """Return the read of a page, the newest sub-accounts first."""
    return Read(LIST, {"limit": str(PAGE)} | ({} if after is None else {"after": after}))


def reads_of(sub_account: SubAccount) -> tuple[Read, ...]:
    """Return the reads of a sub-account; on a connection, each of the first two is paired with another."""
    named = {"subAcct": sub_account.name}
    return (
        *(Read("sub_account_balance", named), Read("sub_account_funding", named)),
        *(Read(LIST, named), Read("account_config")),
    )


def parse_page(data: Any) -> Page:
    """Parse the data of /api/v5/users/subaccount/list; raises UnexpectedResponse."""
    if not isinstance(data, list):
        raise UnexpectedResponse(SHAPE)
    read = [_sub_account(row) for row in data]
    times = [time for time in map(_time, data) if time is not None]
    # The row with that time itself again, because another one may have the same time.
    after = str(min(times) + 1) if times else None
    return Page(tuple(each for each in read if each is not None), len(data), after)


def listed(pages: Sequence[Page], *, more: bool) -> SubAccountList:
    """Return the list of all pages, each sub-account once."""
    found = {each.uid: each for page in pages for each in page.sub_accounts}
    unreadable = sum(page.rows - len(page.sub_accounts) for page in pages)
    kept = tuple(found.values())[:MAX_SUB_ACCOUNTS]
    return SubAccountList(kept, more or len(found) > len(kept), unreadable)


def judge_sub_account(
    sub_account: SubAccount, reads: Mapping[str, Fetched | Failure], tolerance: Decimal
) -> tuple[tuple[WalletRead, ...], bool]:
    """Return the wallets of a sub-account, and whether the exchange proves that they are its own.

    Balances are asked for by name: they count only if the list says that the name has the uid.
    """
    earn = WalletRead(EARN, Verdict.NOT_COVERED)
    trading, funding = reads["sub_account_balance"], reads["sub_account_funding"]
    try:
        _check_named(sub_account, parsed(parse_page, reads[LIST]))
    except Failure as fault:
        return (unread("trading", fault), unread("funding", fault), earn), False
    read, other = judge_wallets(trading, funding, NOT_VALUED, tolerance)
    if read.totals is not None and read.totals.fits:
        read = msgspec.structs.replace(read, total_check=TotalCheck.AGREES)
    return (msgspec.structs.replace(read, positions_code=Code.NEEDS_OWN_KEY), other, earn), True


def _check_named(sub_account: SubAccount, page: Page) -> None:
    """Raise Failure unless a page has a sub-account with its name and uid."""
    if sub_account in page.sub_accounts:
        return
    if page.rows > len(page.sub_accounts) or page.rows >= PAGE:
        raise UnexpectedResponse(SHAPE)
    raise failure(Code.SUB_ACCOUNT_GONE)


def _sub_account(row: Any) -> SubAccount | None:
    """Return the sub-account of a row; None if uid or name are unreadable."""
    if not isinstance(row, dict):
        return None
    uid, name = row.get("uid"), row.get("subAcct")
    if not isinstance(uid, str) or not UID.fullmatch(uid):
        return None
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or not name.isprintable():
        return None
    return SubAccount(str(uid), str(name)) if is_whole([uid, name]) else None


def _time(row: Any) -> int | None:
    time = row.get("ts") if isinstance(row, dict) else None
    if not isinstance(time, str) or not (time.isascii() and time.isdecimal() and len(time) <= MAX_DIGITS):
        return None
    return int(time)
