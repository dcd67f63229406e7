"""Looking up what changed in the accounts of a user."""

from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from gateway.accounts.history import EARLIEST
from gateway.errors import InvalidInput
from gateway.portfolio.differences import Difference, difference
from gateway.rows.snapshots import Place, Step
from gateway.store.pool import Pool, database_time
from gateway.store.snapshots import list_steps

# Above all ids.
LAST_ID = UUID(int=2**128 - 1)
FORM = "%Y%m%dT%H%M%S.%fZ"
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
