"""The sub-accounts of a master account: their list, and their balances by name.

Source: the exchange's documentation of /api/v5/users/subaccount/list, /api/v5/account/subaccount/balances and
/api/v5/asset/subaccount/balances.
"""

from collections.abc import Callable
from dataclasses import replace

from deploy.simulator.okx.payloads import Question, account_balance, asset_balances
from deploy.simulator.okx.refusals import Refused
from deploy.simulator.okx.rows import SUB_ACCOUNT, Row

PAGE = 100
# The first sub-account was created then, each later one a minute after the one before.
FIRST_MS, MINUTE_MS = 1_700_000_000_000, 60_000


def sub_account_list(question: Question) -> list[Row]:
    """Return a page of the list, the newest first, by name and from before `after`."""
    _check_master(question)
    limit, after = question.query.get("limit") or str(PAGE), question.query.get("after")
    if not limit.isdecimal() or not 0 < int(limit) <= PAGE:
        raise Refused("51000", "limit")
    rows = [
        SUB_ACCOUNT
        | {
            "subAcct": each.name,
            "uid": each.uid,
            "label": each.name,
            "ts": str(FIRST_MS + number * MINUTE_MS),
        }
        for number, each in enumerate(question.sub_accounts)
    ]
    name = question.query.get("subAcct")
    found = [
        row
        for row in reversed(rows)
        if name in (None, "", row["subAcct"]) and (not after or int(row["ts"]) < int(after))
    ]
    return found[: int(limit)]


def sub_account_balance(question: Question) -> list[Row]:
    """Return the trading wallet of a sub-account."""
    return _of_named(question, account_balance)


def sub_account_funding(question: Question) -> list[Row]:
    """Return the funding wallet of a sub-account."""
    return _of_named(question, asset_balances)


def _of_named(question: Question, rows: Callable[[Question], list[Row]]) -> list[Row]:
    _check_master(question)
    name = question.query.get("subAcct")
    if not name:
        raise Refused("50014", "subAcct")
    account = next((each for each in question.sub_accounts if each.name == name), None)
    if account is None:
        raise Refused("59510")
    return rows(replace(question, account=account))


def _check_master(question: Question) -> None:
    """Refuse the key of a sub-account."""
    if question.account.main_uid not in ("", question.account.uid):
        raise Refused("59500")
