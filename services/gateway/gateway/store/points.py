"""Prices of assets at full hours, and the fixings of currencies."""

from collections.abc import Sequence

import msgspec

from gateway.rows.points import Fixing, Point
from gateway.store.pool import Connection, execute


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
