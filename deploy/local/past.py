"""A past for the demonstration: a year of daily closes that were never read, with an outage and a gap."""

import json
import math
import random
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from psycopg import AsyncConnection

DAYS = 365
# How many days ago no sync succeeded, and on how many no gateway closed the day.
OUTAGE, GAP = range(60, 75), range(180, 195)
# The person bought something every so many days.
BOUGHT_EVERY = 45
BEFORE_MIDNIGHT = timedelta(minutes=20)
STEP = 0.03
DIGITS = Decimal("1E-8")
DOLLAR = (Decimal("0.9"), Decimal("1.1"))


async def invent_year(connection: AsyncConnection, prices: Mapping[str, Decimal]) -> None:
    """Write closes of the last year for each account that was read, from its holdings and prices of now."""
    today = datetime.now(UTC).date()
    found = await connection.execute("select account_id::text, id::text, content from open_snapshots")
    closes = [
        {"account_id": account, "snapshot_id": snapshot, **close}
        for account, snapshot, content in await found.fetchall()
        for close in year_of(content, prices, today)
    ]
    await connection.execute(
        """insert into closes (account_id, day, at, until, fresh_seconds, snapshot_id, content)
           select account_id, day, at, until, 7200, snapshot_id, content
           from json_to_recordset(%s::json) as said (account_id uuid, day date, at timestamptz,
               until timestamptz, snapshot_id uuid, content jsonb)
           on conflict do nothing""",
        [json.dumps(closes)],
    )


def year_of(
    content: Mapping[str, Any], prices: Mapping[str, Decimal], today: date
) -> Iterator[dict[str, Any]]:
    """Yield the closes of the last year, oldest first; assets without a price have no value."""
    walks = {asset: _walk(asset, price) for asset, price in prices.items()}
    for ago in range(DAYS, 0, -1):
        if ago in GAP:
            continue
        day = today - timedelta(days=ago)
        at = datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC)
        read_at = at - BEFORE_MIDNIGHT - timedelta(days=max(OUTAGE) - ago if ago in OUTAGE else 0)
        amounts = [_amount(each, ago, walks) for each in content["amounts"]]
        yield {
            "day": day.isoformat(),
            "at": at.isoformat(),
            "until": read_at.isoformat(),
            "content": {
                "wallets": [{**each, "as_of": read_at.isoformat()} for each in content["wallets"]],
                "amounts": amounts,
                "prices": {each["asset"]: _price(each["asset"], ago, at, walks) for each in amounts},
            },
        }


def _walk(asset: str, price: Decimal) -> list[Decimal]:
    """Return an invented price for each number of days ago, the same in each demonstration."""
    if DOLLAR[0] <= price <= DOLLAR[1]:
        return [price] * (DAYS + 1)
    dice = random.Random(asset)  # noqa: S311 - invented prices
    way, logarithm = [price], 0.0
    for _ in range(DAYS):
        logarithm += dice.gauss(-0.001, STEP)
        way.append((price * Decimal(math.exp(logarithm))).quantize(DIGITS))
    return way


def _amount(of: Mapping[str, Any], ago: int, walks: Mapping[str, list[Decimal]]) -> dict[str, Any]:
    share = Decimal(100 - 6 * (ago // BOUGHT_EVERY)) / 100
    quantity = Decimal(of["quantity"]) * share
    way = walks.get(of["asset"])
    value = None if way is None else f"{quantity * way[ago]:f}"
    return {**of, "quantity": f"{quantity:f}", "value": value}


def _price(asset: str, ago: int, at: datetime, walks: Mapping[str, list[Decimal]]) -> dict[str, Any]:
    if asset not in walks:
        return {"value": None, "code": "unpriced"}
    seen_at = (at - timedelta(minutes=1)).isoformat()
    value = f"{walks[asset][ago]:f}"
    return {
        "value": value,
        "method": "cross",
        "source": "okx",
        "observed_at": seen_at,
        "pair": f"{asset}-USDT",
    }
