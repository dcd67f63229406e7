"""Parse OKX's responses into balances, totals and facts of a key. Pure; raises UnexpectedResponse.

Source: https://www.okx.com/docs-v5/en/#trading-account-rest-api-get-balance and its neighbours.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec

from contracts.credentials import MAX_ADDRESSES, Verified
from contracts.exchanges.okx import OKX
from contracts.rights import named_rights
from contracts.syncs import Rights
from sync_worker.errors import UnexpectedResponse
from sync_worker.exchanges.lenient_json import Doubled, is_whole, read_json
from sync_worker.exchanges.okx.lists import Rows, amount_of, funding_row, read_rows, trading_row
from sync_worker.exchanges.okx.quoted import quoted_prices
from sync_worker.verdicts import NO_PRICES, Listed

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# 2009-01-03: no exchange existed earlier.
MIN_TIME_MS = 1_230_940_800_000
MAX_TIME_MS = 10**14
# The values of a body of 8 MiB can take twenty times its size in memory; real responses have far fewer.
MAX_VALUES = 250_000
# The formats that a message allows for the id of an account, and for an IP address or network of a key.
UID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
ADDRESS = re.compile(r"[0-9A-Fa-f.:/]{1,64}", re.ASCII)
UNREADABLE_KEY = "We can not read what the answer says of the key."
SHAPE = "The answer does not have the documented shape."


class Envelope(msgspec.Struct, frozen=True):
    """The fields of every response of the API; `data` may contain damage, and refusals often lack it."""

    code: str
    msg: str = ""
    data: Any = None


def parse_envelope(body: bytes) -> Envelope | None:
    """Parse a response of the API; return None for HTML, for far too many values, and other invalid text.

    Numbers become text with all their digits; OKX sends numbers as text, except some codes.
    """
    if sum(body.count(mark) for mark in b"[{,") > MAX_VALUES:
        return None
    try:
        document = read_json(body.decode())
    except (ValueError, RecursionError):
        return None
    fields = document if isinstance(document, dict) else {}
    around = {name: value for name, value in fields.items() if name != "data"}
    code, message = around.get("code"), around.get("msg")
    if not isinstance(code, str) or not is_whole(around):
        return None
    return Envelope(str(code), message if isinstance(message, str) else "", fields.get("data"))


def parse_trading(data: Any) -> Listed:
    """Parse the data of /api/v5/account/balance; its worth is known if every row has a price."""
    account = _account(data)
    rows = read_rows(account["details"], trading_row)
    updated, stated = _time(account.get("uTime")), _usd(account.get("totalEq"))
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
    rows = read_rows(data, partial(funding_row, prices=prices))
    return Listed(rows.balances, rows.worth, unreadable=rows.unreadable)


def parse_valuation(data: Any) -> dict[str, Decimal]:
    """Parse the data of /api/v5/asset/asset-valuation; return the readable totals by wallet."""
    details = _fields(_one(data).get("details"))
    if not details:
        raise UnexpectedResponse(SHAPE)
    amounts = {wallet: _usd(text) for wallet, text in details.items()}
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
        raise UnexpectedResponse("The answer does not say whose key it is and what it may do.")
    return Rights(str(uid), named_rights(OKX, _listed(perm)))


def parse_time(data: Any) -> int:
    """Parse the data of /api/v5/public/time; return milliseconds since the epoch."""
    ts = _one(data).get("ts")
    if not is_whole(data) or not isinstance(ts, str):
        raise UnexpectedResponse(SHAPE)
    said = _time(ts)
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
    return _fields(data[0]) if isinstance(data, list) and len(data) == 1 else {}


def _fields(value: Any) -> dict[str, Any]:
    """Return the fields of an object without repeated ones; empty for any other value."""
    if isinstance(value, Doubled):
        return value.once
    return value if isinstance(value, dict) else {}


def _usd(value: Any) -> Decimal | None:
    """Parse a total; return None for an unreadable one."""
    try:
        return amount_of(value)
    except ValueError:
        return None


def _time(value: Any) -> datetime | None:
    """Parse milliseconds since the epoch; return None for a value that cannot be a time of an account."""
    if not isinstance(value, str) or not value.isascii() or not value.isdecimal():
        return None
    # Check the length first, because parsing a number of many digits is slow.
    if len(value) > len(str(MAX_TIME_MS)) or not MIN_TIME_MS <= int(value) < MAX_TIME_MS:
        return None
    return EPOCH + timedelta(milliseconds=int(value))


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
