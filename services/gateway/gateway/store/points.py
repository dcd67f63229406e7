"""Prices of assets at full hours, and the fixings of currencies."""

from collections.abc import Sequence
from datetime import date, datetime

import msgspec

from gateway.portfolio.values import PriceRecord
from gateway.rows.points import Fixing, Point
from gateway.store.pool import Connection, execute, fetch_all, fetch_value


class _Found(msgspec.Struct, frozen=True, array_like=True):
    """A price of a full hour, and the places of its asset and its time in the lists that were asked for."""

    asset: int
    time: int
    at: datetime
    price: PriceRecord


async def write(connection: Connection, points: Sequence[Point]) -> None:
    """Write the prices of an hour, unless they are written already."""
    await execute(
        connection,
        """insert into price_points (asset, source, at, value, method, observed_at, code, pair)
           select * from json_to_recordset(%(points)s::json) as said (
               asset text, source text, at timestamptz, value numeric, method text,
               observed_at timestamptz, code text, pair text)
           on conflict do nothing""",
        points=msgspec.json.encode(points).decode(),
    )


async def write_fixings(connection: Connection, fixings: Sequence[Fixing]) -> None:
    """Write the rates of a fixing, unless they are written already."""
    await execute(
        connection,
        """insert into fixings (source, fixed_on, base, currency, rate)
           select * from json_to_recordset(%(fixings)s::json) as said (
               source text, fixed_on date, base text, currency text, rate numeric)
           on conflict do nothing""",
        fixings=msgspec.json.encode(fixings).decode(),
    )


async def find(
    connection: Connection, wanted: Sequence[tuple[str, str]], times: Sequence[datetime]
) -> dict[tuple[str, str, datetime], tuple[datetime, PriceRecord]]:
    """Find prices at sources at times, each of the last full hour within the day before.

    `wanted` are sources and their names of assets. Returns each price with its hour.
    """
    found = await fetch_value(
        connection,
        """select coalesce(json_agg(json_build_array(asset.place - 1, asked.place - 1, point.at,
                   json_build_object('value', value::text, 'method', method, 'source', point.source,
                   'observed_at', observed_at, 'code', code, 'pair', pair))), '[]')::text
           from unnest(%(sources)s::text[], %(assets)s::text[]) with ordinality as asset (source, name, place)
           cross join unnest(%(times)s::timestamptz[]) with ordinality as asked (time, place)
           cross join lateral (
               select * from price_points
               where price_points.asset = asset.name and price_points.source = asset.source
                   and at <= asked.time and at > asked.time - interval '1 day'
               order by at desc limit 1) point""",
        sources=[source for source, _ in wanted],
        assets=[asset for _, asset in wanted],
        times=list(times),
    )
    rows = msgspec.json.decode(found, type=list[_Found])
    return {(*wanted[row.asset], times[row.time]): (row.at, row.price) for row in rows}


async def find_fixings(
    connection: Connection, source: str, currencies: Sequence[str], first: date, last: date
) -> list[Fixing]:
    """Find the rates of currencies from a day to another."""
    return await fetch_all(
        connection,
        Fixing,
        """select source, fixed_on, base, currency, rate from fixings
           where source = %(source)s and currency = any(%(currencies)s)
               and fixed_on between %(first)s and %(last)s order by fixed_on""",
        source=source,
        currencies=list(currencies),
        first=first,
        last=last,
    )
