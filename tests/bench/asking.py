"""Statements of the bench, as the superuser of our database."""

from typing import Any

from deploy.local.postgres import SUPERUSER, Postgres

# Accounts are synced for clients only, but in the bench of the schedule.
UNSCHEDULED = "update schedule set interval_seconds = null, next_at = null, failures = 0, stopped = null"


async def asked(database: Postgres, query: str, **values: object) -> list[tuple[Any, ...]]:
    """Run a statement and return its rows, if it has any."""
    async with await database.connect(SUPERUSER) as connection:
        cursor = await connection.execute(query.encode(), values)
        return await cursor.fetchall() if cursor.description else []
