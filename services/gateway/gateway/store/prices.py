"""Readings of public prices, and the prices that users set."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import msgspec

from gateway.rows.prices import Manual, ManualSpan
from gateway.store.pool import Connection, execute, fetch_all, fetch_one


class Claimed(msgspec.Struct, frozen=True):
    """An exchange whose prices this gateway is to request."""

    source: str
    claimed_at: datetime


class Standing(msgspec.Struct, frozen=True):
    """The last reading of an exchange, None before the first, and the database's time."""

    source: str
    reading_id: UUID | None
    read_at: datetime | None
    now: datetime


class Stored(msgspec.Struct, frozen=True):
    """A reading as received, and what is known after it, as JSON."""

    id: UUID
    read_at: datetime
    reading: bytes
    known: bytes


async def claim(
    connection: Connection, sources: Sequence[str], every: float, *, for_all: bool = False
) -> list[Claimed]:
    """Claim the sources whose prices were not requested for `every` seconds.

    An exchange needs a connected account of its own, a source `for_all` one of any exchange.
    Of several gateways that ask at once, one gets a source. An exchange that an operator paused is not asked.
    A claim in the future is of a clock that was set back, and does not count.
    """
    return await fetch_all(
        connection,
        Claimed,
        """insert into price_readings (source)
           select key from unnest(%(sources)s::text[]) as asked (key)
           where exists (select from accounts
                         where (%(for_all)s or exchange = key) and deleted_at is null)
               and not exists (select from paused_exchanges where exchange = key)
           on conflict (source) do update set claimed_at = now()
               where price_readings.claimed_at <= now() - make_interval(secs => %(every)s)
                   or price_readings.claimed_at > now()
           returning source, claimed_at""",
        sources=list(sources),
        every=every,
        for_all=for_all,
    )


async def find_asked(connection: Connection, sources: Sequence[str]) -> set[str]:
    """Return the exchanges whose prices gateways request: with an account, and not paused by an operator."""
    rows = await connection.execute(
        """select key from unnest(%s::text[]) as asked (key)
           where exists (select from accounts where exchange = key and deleted_at is null)
               and not exists (select from paused_exchanges where exchange = key)""",
        [list(sources)],
    )
    return {key for (key,) in await rows.fetchall()}


async def lock(connection: Connection, source: str) -> Standing | None:
    """Return the standing of an exchange, and lock it; None if no gateway has requested its prices."""
    return await fetch_one(
        connection,
        Standing,
        """select source, reading_id, read_at, clock_timestamp() as now
           from price_readings where source = %(source)s for update""",
        source=source,
    )


async def standings(connection: Connection) -> list[Standing]:
    """Return the standing of each exchange."""
    return await fetch_all(
        connection,
        Standing,
        "select source, reading_id, read_at, clock_timestamp() as now from price_readings order by source",
    )


async def load(connection: Connection, source: str) -> Stored | None:
    """Return the last reading of an exchange, which may be newer than its standing; None before the first."""
    return await fetch_one(
        connection,
        Stored,
        """select reading_id as id, read_at, reading, known from price_readings
           where source = %(source)s and reading_id is not null""",
        source=source,
    )


async def replace(connection: Connection, source: str, error_code: str | None, stored: Stored) -> None:
    """Replace the reading of an exchange."""
    await execute(
        connection,
        """update price_readings set reading_id = %(reading_id)s, read_at = %(read_at)s,
               error_code = %(error_code)s, reading = %(reading)s, known = %(known)s
           where source = %(source)s""",
        source=source,
        reading_id=stored.id,
        read_at=stored.read_at,
        error_code=error_code,
        reading=stored.reading,
        known=stored.known,
    )


async def find_manual(connection: Connection, user_id: UUID, asset: str) -> Manual | None:
    """Find the price that a user set for an asset."""
    return await fetch_one(
        connection,
        Manual,
        "select value, set_at from manual_prices where user_id = %(user_id)s and asset = %(asset)s",
        user_id=user_id,
        asset=asset,
    )


class _Own(Manual, frozen=True, kw_only=True):
    """The price that a user set for an asset."""

    user_id: UUID
    asset: str


async def find_all_manual(connection: Connection, user_ids: Sequence[UUID]) -> dict[UUID, dict[str, Manual]]:
    """Find all prices that users set, by user and asset."""
    rows = await fetch_all(
        connection,
        _Own,
        "select user_id, asset, value, set_at from manual_prices where user_id = any(%(user_ids)s)",
        user_ids=list(user_ids),
    )
    found: dict[UUID, dict[str, Manual]] = {}
    for row in rows:
        found.setdefault(row.user_id, {})[row.asset] = row
    return found


async def list_spans(connection: Connection, user_id: UUID, assets: Sequence[str]) -> list[ManualSpan]:
    """List from when until when the prices counted that a user set for assets, by asset and time."""
    return await fetch_all(
        connection,
        ManualSpan,
        """select asset, value, since, until from manual_price_spans
           where user_id = %(user_id)s and asset = any(%(assets)s) order by asset, since""",
        user_id=user_id,
        assets=list(assets),
    )


async def set_manual(connection: Connection, user_id: UUID, asset: str, value: Decimal, most: int) -> bool:
    """Set a user's price of an asset; returns False if that would be more than `most` prices."""
    written = await execute(
        connection,
        """insert into manual_prices (user_id, asset, value)
           select %(user_id)s::uuid, %(asset)s::text, %(value)s::numeric
           where (select count(*) from manual_prices where user_id = %(user_id)s and asset <> %(asset)s)
               < %(most)s
           on conflict (user_id, asset) do update set value = excluded.value, set_at = now()""",
        user_id=user_id,
        asset=asset,
        value=value,
        most=most,
    )
    return written == 1


async def delete_manual(connection: Connection, user_id: UUID, asset: str) -> bool:
    """Delete a user's price of an asset; returns whether there was one."""
    deleted = await execute(
        connection,
        "delete from manual_prices where user_id = %(user_id)s and asset = %(asset)s",
        user_id=user_id,
        asset=asset,
    )
    return deleted == 1


async def forget_manual(connection: Connection, user_id: UUID) -> None:
    """Delete all prices that a user set."""
    await execute(connection, "delete from manual_prices where user_id = %(user_id)s", user_id=user_id)
