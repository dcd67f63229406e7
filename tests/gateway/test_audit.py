"""Every writer can add lines to the audit, and none can change the old ones."""

import psycopg
import pytest

from deploy.local.postgres import GATEWAY, OWNER, Postgres

LINE = "insert into audit (action) values ('test')"
CHANGES = (
    "update audit set action = 'other'",
    "delete from audit",
    "truncate audit",
    "alter table audit disable trigger all",
    "drop table audit",
)


@pytest.mark.parametrize("change", CHANGES)
async def test_a_gateway_can_not_rewrite_the_audit(clean_database: Postgres, change: str) -> None:
    """Its role inserts and reads; it changes and deletes neither a line nor the protection of the table."""
    async with await clean_database.connect(GATEWAY) as connection:
        await connection.execute(LINE)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute(change.encode())


@pytest.mark.parametrize("change", CHANGES[:2])
async def test_a_line_is_kept_from_mistakes_of_the_owner(clean_database: Postgres, change: str) -> None:
    """A migration that would rewrite the audit by accident fails."""
    async with await clean_database.connect(OWNER) as connection:
        await connection.execute(LINE)
        with pytest.raises(psycopg.errors.RaiseException):
            await connection.execute(change.encode())
