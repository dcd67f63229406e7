"""The response rows of the earn products, and their worth."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from deploy.simulator.okx.payloads import EXACT, Question, milliseconds, sum_of, text_of
from deploy.simulator.okx.refusals import Refused
from deploy.simulator.okx.rows import DUAL_ORDER, SAVINGS_ROW, STAKING_ORDER, Row

PAGE = 100
# The principal is with the product in these states.
DUAL_HELD = ("live", "pending_settle", "pending_redeem")
STAKED = {"eth": "BETH", "sol": "OKSOL", "rewards": "USDG"}


def savings(question: Question) -> list[Row]:
    """Return flexible savings; all of an amount is lent out."""
    wanted = question.query.get("ccy")
    rows = [SAVINGS_ROW | {"loanAmt": row["amt"]} | row for row in question.account.savings]
    return [row for row in rows if wanted in (None, "", row["ccy"])]


def staking_orders(question: Question) -> list[Row]:
    """Return the active on-chain orders."""
    rows = [STAKING_ORDER | row for row in question.account.staking]
    return [
        row
        for row in rows
        if all(question.query.get(key) in (None, "", row[key]) for key in ("ccy", "state", "productId"))
    ]


def dual_orders(question: Question) -> list[Row]:
    """Return a page of dual investments, the newest first, by state and before `endId`."""
    query = question.query
    limit = query.get("limit") or str(PAGE)
    if not limit.isdecimal() or not 0 < int(limit) <= PAGE:
        raise Refused("51000", "limit")
    account = question.account
    ended = [{"ordId": str(900_000 + number), "state": "settled"} for number in range(account.settled, 0, -1)]
    rows = [DUAL_ORDER | row for row in (*ended, *account.dual)]
    state, before = query.get("state"), query.get("endId")
    found = [
        row
        for row in rows
        if state in (None, "", row["state"]) and (not before or int(row["ordId"]) < int(before))
    ]
    return found[: int(limit)]


def eth_balance(question: Question) -> list[Row]:
    """Return all BETH of the account: in both wallets and in redemption."""
    return _staked(question, STAKED["eth"], ts=milliseconds(question.now))


def sol_balance(question: Question) -> list[Row]:
    """Return all OKSOL of the account: in both wallets and in redemption."""
    return _staked(question, STAKED["sol"])


def stable_rewards(question: Question) -> list[Row]:
    """Return all currencies of the account that earn rewards: in both wallets and in redemption."""
    ccy = STAKED["rewards"]
    amount = _everywhere(question, ccy)
    details = [{"ccy": ccy, "amt": text_of(amount), "totalEarnAccrual": "0", "state": "earning"}]
    return [{"details": details if amount else [], "ts": milliseconds(question.now)}]


def earn_value(question: Question) -> Decimal:
    """Return the worth of all earn products in USD, with those that no list shows."""
    account = question.account
    held: list[tuple[str, str]] = [(row["ccy"], row["amt"]) for row in account.savings]
    held += [(each["ccy"], each["amt"]) for row in account.staking for each in row["investData"]]
    held += [
        (row["notionalCcy"], row["notionalSz"])
        for row in account.dual
        if row.get("state", "live") in DUAL_HELD
    ]
    held += account.redeeming.items()
    return EXACT.add(account.fixed, sum_of(question.in_usd(amount, ccy) for ccy, amount in held))


def _staked(question: Question, ccy: str, **more: str) -> list[Row]:
    amount = _everywhere(question, ccy)
    accrued = {"latestInterestAccrual": "0", "totalInterestAccrual": "0"}
    return [{"ccy": ccy, "amt": text_of(amount), **accrued, **more}] if amount else []


def _everywhere(question: Question, ccy: str) -> Decimal:
    account = question.account
    amounts = [*_amounts(account.trading, ccy, "eq"), *_amounts(account.funding, ccy, "bal")]
    return sum_of((*amounts, Decimal(account.redeeming.get(ccy, "0"))))


def _amounts(rows: Sequence[Row], ccy: str, field: str) -> Iterable[Decimal]:
    return (Decimal(row[field]) for row in rows if row["ccy"] == ccy)
