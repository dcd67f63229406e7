"""The portfolio of the demonstration: what it is worth, and how far that can be trusted, as text."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from typing import Any

import httpx

from deploy.local.chart import chart_lines
from deploy.local.tables import Row, table

COLUMNS = ("asset", "quantity", "price in USD", "value in USD", "priced by")
DRIFT_COLUMNS = ("wallet", "our sum in USD", "exchange's total in USD", "drift in USD")
CENT, WIDE = Decimal("0.01"), Context(prec=200)
PAUSE_SECONDS = 0.5


async def show_worth(client: httpx.AsyncClient, within: float) -> dict[str, Decimal]:
    """Print the portfolio, with prices if they arrive within so many seconds; returns them.

    Raises httpx.HTTPError.
    """
    seen = await _get(client, "/portfolio")
    while within > 0 and (seen["unpriced"] or not await _rates(client)):
        await asyncio.sleep(PAUSE_SECONDS)
        within -= PAUSE_SECONDS
        seen = await _get(client, "/portfolio")
    euros = await _get(client, "/portfolio?currency=EUR") if await _rates(client) else None
    print("\n".join(worth_lines(seen, euros)), end="\n\n")
    prices = {each["asset"]: each["price"]["value_usd"] for each in seen["assets"]}
    return {asset: Decimal(price) for asset, price in prices.items() if price is not None}


async def show_drift(client: httpx.AsyncClient, account_id: str) -> None:
    """Print our sums beside the exchange's own totals in the last sync; raises httpx.HTTPError."""
    drift = await _get(client, f"/accounts/{account_id}/drift")
    print(drift_table(drift["items"]), end="\n\n")


async def show_history(client: httpx.AsyncClient) -> None:
    """Print the worth at the end of each week of the last year; raises httpx.HTTPError."""
    since = (datetime.now(UTC) - timedelta(days=371)).isoformat(timespec="seconds").replace("+00:00", "Z")
    history = await _get(client, f"/portfolio/history?interval=week&from={since}")
    print("An invented year:", *chart_lines(history["points"]), sep="\n", end="\n\n")


def worth_lines(seen: Mapping[str, Any], euros: Mapping[str, Any] | None) -> Sequence[str]:
    """Return a portfolio as lines of text; values are rounded here, and exact in the API."""
    total = f"Worth {_cents(seen['total_usd'])} USD"
    if euros is not None and euros["rate"] is not None:
        total += f", {_cents(euros['total'])} EUR at the fixing of {euros['rate']['fixed_on']}"
    counted = f"{seen['priced_assets']} of {seen['held_assets']} assets have a price"
    return [
        f"{total}: {seen['verdict']}, {counted}",
        f"Oldest balance {seen['balances_as_of'] or '-'}, oldest price {seen['prices_at'] or '-'}",
        "",
        table(COLUMNS, [_row(each) for each in seen["assets"]]),
        "",
        *(f"{_subject(each)} {each['code']}: {each['detail']}" for each in seen["reasons"]),
        *(
            f"{each['name']}, {_cents(each['worth_usd'])} USD, in no total: {each['reason']}"
            for each in seen["uncovered"]
        ),
    ]


def drift_table(items: Sequence[Mapping[str, Any]]) -> str:
    """Return the newest comparison of each wallet as a table; `items` are the newest first."""
    newest: dict[str, Mapping[str, Any]] = {}
    for each in items:
        newest.setdefault(each["wallet"], each)
    numbers = ("ours", "theirs", "missing")
    return table(
        DRIFT_COLUMNS, [(wallet, *(_cents(of[key]) for key in numbers)) for wallet, of in newest.items()]
    )


async def _get(client: httpx.AsyncClient, path: str) -> dict[str, Any]:
    answer: dict[str, Any] = (await client.get(path)).raise_for_status().json()
    return answer


async def _rates(client: httpx.AsyncClient) -> bool:
    """Return whether rates of currencies are known."""
    return bool((await _get(client, "/currencies"))["rates"])


def _row(asset: Mapping[str, Any]) -> Row:
    price = asset["price"]
    method = price["code"] or f"{price['method']} {price['pair'] or ''}".strip()
    return (
        asset["asset"],
        asset["quantity"],
        price["value_usd"] or "unknown",
        _cents(asset["value_usd"]),
        method,
    )


def _subject(reason: Mapping[str, Any]) -> str:
    return str(reason["asset"] or reason["wallet"] or "portfolio")


def _cents(value: str | None) -> str:
    """Return a value with two digits, `unknown` without one."""
    return "unknown" if value is None else f"{Decimal(value).quantize(CENT, context=WIDE):f}"
