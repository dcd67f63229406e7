"""A database that denies the gateway a right for a while, as one does that is not migrated yet."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from deploy.local.postgres import GATEWAY, Postgres
from tests.system.test_sweeper import run


@asynccontextmanager
async def denied(database: Postgres, right: str, table: str) -> AsyncIterator[None]:
    """Deny a right until the end of the block; the gateway then finds the database unavailable."""
    await run(database, f"revoke {right} on {table} from {GATEWAY}")
    try:
        yield
    finally:
        await run(database, f"grant {right} on {table} to {GATEWAY}")
