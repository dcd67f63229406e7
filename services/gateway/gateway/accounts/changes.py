"""Looking up what changed in the accounts of a user."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec

from gateway.accounts.history import BACKWARDS, EARLIEST, find_thens
from gateway.errors import InvalidInput
from gateway.portfolio.attribution import Attribution, attribution, held_at
from gateway.portfolio.differences import Difference, difference
from gateway.portfolio.history import Then
from gateway.portfolio.identity import Identity, asset_of
from gateway.rows.snapshots import Place, Step
from gateway.store.assets import names_among
from gateway.store.pool import Pool, database_time
from gateway.store.snapshots import list_steps

# Above all ids.
LAST_ID = UUID(int=2**128 - 1)
FORM = "%Y%m%dT%H%M%S.%fZ"
DAY = timedelta(days=1)
NOT_A_CURSOR = "This cursor is not from a page of changes: begin again without a cursor."


class Changed(msgspec.Struct, frozen=True):
    """A snapshot, and what changed at its beginning."""

    step: Step
    difference: Difference


class Page(msgspec.Struct, frozen=True):
    """Changes, newest first, and the cursor of the next page; None on the last one."""

    changes: tuple[Changed, ...]
    cursor: str | None


async def list_changes(
    pool: Pool, user_id: UUID, first: datetime | None, before: Place | None, limit: int
) -> Page:
    """List the changes from a time on, before a place; raises DatabaseUnavailable."""
    async with pool.transaction(snapshot=True) as connection:
        place = before or Place(await database_time(connection), LAST_ID)
        steps = await list_steps(connection, user_id, first or EARLIEST, place, limit + 1)
    shown = tuple(Changed(step, _difference(step)) for step in steps[:limit])
    return Page(shown, cursor_of(shown[-1].step) if len(steps) > limit else None)


async def find_attribution(
    pool: Pool, user_id: UUID, first: datetime | None, last: datetime | None
) -> Attribution:
    """Find what moved the worth of all accounts from a time, a day before by default, to one until now.

    Raises InvalidInput.
    """
    now = await pool.single(database_time)
    end = now if last is None else min(last, now)
    begin = end - DAY if first is None else first
    if begin > end:
        raise InvalidInput(BACKWARDS, errors=[{"field": "from", "message": BACKWARDS}])
    before, after = await find_thens(pool, user_id, begin, end)
    remapped = await _find_remapped(pool, user_id, before, after)
    return await asyncio.to_thread(attribution, before, after, remapped)


async def _find_remapped(pool: Pool, user_id: UUID, before: Then, after: Then) -> set[str]:
    """Find the assets held at several exchanges whose names were joined or split between two times."""
    held = held_at((before, after))
    several = {asset for asset in held if len(_exchanges(asset, held)) > 1}
    if not several:
        return set()
    names = sorted({asset_of(asset).name for asset in several})
    async with pool.transaction() as connection:
        known = await names_among(connection, user_id, names)
    old, new = Identity(known, before.time), Identity(known, after.time)
    return {asset for asset in several if old.is_one(name := asset_of(asset).name) != new.is_one(name)}


def _exchanges(asset: str, held: Mapping[str, set[str]]) -> set[str]:
    """Return the exchanges that hold an asset, or another one of the same name."""
    name = asset_of(asset).name
    return {exchange for each in held if asset_of(each).name == name for exchange in held[each]}


def _difference(step: Step) -> Difference:
    return difference(None if step.before is None else step.before.content, step.content)


def cursor_of(step: Step) -> str:
    """Return the cursor of the page after a snapshot."""
    return f"{step.since.astimezone(UTC):{FORM}}~{step.id}"


def place_of(cursor: str) -> Place:
    """Return the place of a cursor; raises InvalidInput."""
    time, _, snapshot_id = cursor.partition("~")
    with suppress(ValueError):
        since = datetime.strptime(time, FORM).replace(tzinfo=UTC)
        return Place(since, UUID(snapshot_id))
    raise InvalidInput(NOT_A_CURSOR, errors=[{"field": "cursor", "message": NOT_A_CURSOR}])
