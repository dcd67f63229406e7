"""Parse OKX's responses into balances, totals and facts of a key. Pure; raises UnexpectedResponse.

Source: https://www.okx.com/docs-v5/en/#trading-account-rest-api-get-balance and its neighbours.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec

from contracts.credentials import MAX_ADDRESSES, Verified
from contracts.exchanges.okx import OKX
from contracts.rights import named_rights
from contracts.syncs import Rights
from sync_worker.errors import UnexpectedResponse
from sync_worker.exchanges.lenient_json import is_whole, read_body
from sync_worker.exchanges.okx.lists import NAMING, funding_row, trading_row
from sync_worker.exchanges.okx.quoted import quoted_prices
from sync_worker.exchanges.rows import Rows, read_rows
from sync_worker.exchanges.values import (
    EPOCH,
    NOT_TOLD,
    SHAPE,
    UID,
    UNREADABLE_KEY,
    amount_or_none,
    fields_of,
    time_of,
)
from sync_worker.verdicts import NO_PRICES, Listed

# The format that a message allows for an IP address or network of a key.
ADDRESS = re.compile(r"[0-9A-Fa-f.:/]{1,64}", re.ASCII)


class Envelope(msgspec.Struct, frozen=True):
    """The fields of every response of the API; `data` may contain damage, and refusals often lack it."""

    code: str
    msg: str = ""
    data: Any = None


def parse_envelope(body: bytes) -> Envelope | None:
    """Parse a response of the API; return None for HTML, for far too many values, and other invalid text.

    Numbers become text with all their digits; OKX sends numbers as text, except some codes.
    """
    document = read_body(body)
    fields = document if isinstance(document, dict) else {}
    around = {name: value for name, value in fields.items() if name != "data"}
    code, message = around.get("code"), around.get("msg")
    if not isinstance(code, str) or not is_whole(around):
        return None
    return Envelope(str(code), message if isinstance(message, str) else "", fields.get("data"))


def parse_trading(data: Any) -> Listed:
    """Parse the data of /api/v5/account/balance; its worth is known if every row has a price."""
    account = _account(data)
    rows = read_rows(account["details"], trading_row, NAMING)
    updated, stated = time_of(account.get("uTime")), amount_or_none(account.get("totalEq"))
    return Listed(
        rows.balances,
        rows.worth,
        stated,
        rows.unreadable,
        updated,
        _prices(rows),
        quoted=quoted_prices(rows.read),
    )


def _prices(rows: Rows) -> dict[str, Decimal]:
    prices = {
        row.asset: row.usd / row.balance.total
        for row in rows.read
        if row.balance.total and row.usd is not None
    }
    return {asset: price for asset, price in prices.items() if price >= 0}


def parse_funding(data: Any, prices: Mapping[str, Decimal] = NO_PRICES) -> Listed:
    """Parse the data of /api/v5/asset/balances; its worth is known if every currency has a price."""
    if not isinstance(data, list):
        raise UnexpectedResponse(SHAPE)
    rows = read_rows(data, partial(funding_row, prices=prices), NAMING)
    return Listed(rows.balances, rows.worth, unreadable=rows.unreadable)


def parse_valuation(data: Any) -> dict[str, Decimal]:
    """Parse the data of /api/v5/asset/asset-valuation; return the readable totals by wallet."""
    details = fields_of(_one(data).get("details"))
    if not details:
        raise UnexpectedResponse(SHAPE)
    amounts = {wallet: amount_or_none(text) for wallet, text in details.items()}
    return {wallet: amount for wallet, amount in amounts.items() if amount is not None}


def parse_config(data: Any) -> Verified:
    """Parse the data of /api/v5/account/config: account, master, rights and bound addresses of the key."""
    rights, fields = parse_rights(data), _one(data)
    master, bound = fields.get("mainUid"), fields.get("ip")
    if not isinstance(master, str) or not UID.fullmatch(master) or not isinstance(bound, str):
        raise UnexpectedResponse(UNREADABLE_KEY)
    addresses = _listed(bound)
    if len(addresses) > MAX_ADDRESSES or not all(map(ADDRESS.fullmatch, addresses)):
        raise UnexpectedResponse(UNREADABLE_KEY)
    return Verified(rights.exchange_uid, str(master), rights.permissions, addresses)


def parse_rights(data: Any) -> Rights:
    """Parse account and rights of the key from the data of /api/v5/account/config.

    Damage in other fields affects only these. A right that no message can carry becomes `unreadable-right`.
    """
    fields = _one(data)
    uid, perm = fields.get("uid"), fields.get("perm")
    if not isinstance(uid, str) or not isinstance(perm, str) or not UID.fullmatch(uid):
        raise UnexpectedResponse(NOT_TOLD)
    return Rights(str(uid), named_rights(OKX, _listed(perm)))


def parse_time(data: Any) -> int:
    """Parse the data of /api/v5/public/time; return milliseconds since the epoch."""
    ts = _one(data).get("ts")
    if not is_whole(data) or not isinstance(ts, str):
        raise UnexpectedResponse(SHAPE)
    said = time_of(ts)
    if said is None:
        raise UnexpectedResponse("The time is not a valid time.")
    return (said - EPOCH) // timedelta(milliseconds=1)


def _account(data: Any) -> dict[str, Any]:
    """Return the single trading account with its list; damage in other fields affects only these."""
    account = _one(data)
    if not isinstance(account.get("details"), list):
        raise UnexpectedResponse(SHAPE)
    return account


def _one(data: Any) -> dict[str, Any]:
    return fields_of(data[0]) if isinstance(data, list) and len(data) == 1 else {}


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
