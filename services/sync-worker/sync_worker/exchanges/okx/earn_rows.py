"""Parse the rows of OKX's earn products, each into the amount of one asset. Pure.

Source: https://www.okx.com/docs-v5/en/#financial-product.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from contracts import reasons
from contracts.values import Balance
from sync_worker.errors import UnexpectedResponse
from sync_worker.exchanges.okx.lists import NAMING
from sync_worker.exchanges.parts import Entry
from sync_worker.exchanges.rows import Fields, Row, Unreadable, held_amount, parse_rows, rows_of
from sync_worker.exchanges.values import SHAPE

# The principal of a dual investment is in no other list in these states, in the order of their coming.
DUAL_HELD = ("live", "pending_settle", "pending_redeem")
DUAL_ENDED = ("initial", "settled", "redeemed", "rejected")
# On-chain orders: pending, cancelling, on-chain, earning, redeeming; and completed.
ORDER_HELD, ORDER_ENDED = ("8", "13", "9", "1", "2"), ("3",)


def parse_savings(data: Any) -> list[Entry]:
    """Parse the data of /api/v5/finance/savings/balance: amounts lent and about to be lent."""
    return _checked(parse_rows(_rows(data), _held, NAMING))


def parse_orders(data: Any) -> list[Entry]:
    """Parse the data of /api/v5/finance/staking-defi/orders-active: invested amounts, without earnings."""
    rows: list[Any] = []
    for order in _rows(data):
        invested = order.get("investData") if isinstance(order, dict) else None
        if isinstance(invested, list) and invested:
            rows += [_with(each, state=order.get("state")) for each in invested]
        else:
            rows.append(order)
    return _checked(
        parse_rows(rows, partial(_principal, amount="amt", held=ORDER_HELD, ended=ORDER_ENDED), NAMING)
    )


def parse_dual(responses: Sequence[Any]) -> list[Entry]:
    """Parse data of /api/v5/finance/sfp/dcd/order-history; an order in several responses counts once."""
    orders: dict[str, Any] = {}
    for order in (order for data in responses for order in _rows(data)):
        number = order.get("ordId") if isinstance(order, dict) else None
        orders.setdefault(number if isinstance(number, str) else f"unknown {len(orders)}", order)
    rows = [
        _with(order, ccy=order.get("notionalCcy")) if isinstance(order, dict) else order
        for order in orders.values()
    ]
    principal = partial(_principal, amount="notionalSz", held=DUAL_HELD, ended=DUAL_ENDED)
    return _checked(parse_rows(rows, principal, NAMING))


def parse_staked(data: Any) -> list[Entry]:
    """Parse the balance of staked ETH or SOL, wherever the account holds it."""
    return _checked(parse_rows(_rows(data), _staked, NAMING))


def parse_rewards(data: Any) -> list[Entry]:
    """Parse the data of /api/v5/finance/stable-rewards/balance, wherever the account holds the currencies."""
    rows: list[Any] = []
    for row in _rows(data):
        details = row.get("details") if isinstance(row, dict) else None
        if not isinstance(details, list):
            raise UnexpectedResponse(SHAPE)
        rows += details
    return _checked(parse_rows(rows, _staked, NAMING))


def _held(fields: Fields, amount: str = "amt") -> Row:
    return Row(Balance(NAMING.asset_of(fields), held_amount(fields, amount)), None)


def _principal(fields: Fields, amount: str, held: Sequence[str], ended: Sequence[str]) -> Row | None:
    """Parse the amount of an order, None if it has ended.

    Raises Unreadable, also for an unknown state, because the amount may be in another list.
    """
    state = fields.get("state")
    if state in ended:
        return None
    if state not in held:
        raise Unreadable(reasons.UNKNOWN.format(field="state"))
    return _held(fields, amount)


def _staked(fields: Fields) -> Row | None:
    """Parse a staked amount; an empty text means that the account never staked."""
    return None if fields.get("amt") == "" else _held(fields)


def _with(row: Any, **fields: Any) -> Any:
    return {**row, **fields} if isinstance(row, dict) else row


def _checked(entries: list[Entry]) -> list[Entry]:
    """Return the entries; raises UnexpectedResponse if all of them are unreadable."""
    rows_of(entries)
    return entries


def _rows(data: Any) -> Sequence[Any]:
    if not isinstance(data, list):
        raise UnexpectedResponse(SHAPE)
    return data
