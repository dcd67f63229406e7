"""The audit takes new lines and keeps the old ones, whoever writes."""

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
    """Its role inserts and reads; it changes and removes no line, nor what keeps it from that."""
    async with await clean_database.connect(GATEWAY) as connection:
        await connection.execute(LINE)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute(change.encode())


@pytest.mark.parametrize("change", CHANGES[:2])
async def test_a_line_is_kept_from_mistakes_of_the_owner(clean_database: Postgres, change: str) -> None:
    """A migration that would rewrite the audit without meaning to is refused."""
    async with await clean_database.connect(OWNER) as connection:
        await connection.execute(LINE)
        with pytest.raises(psycopg.errors.RaiseException):
            await connection.execute(change.encode())
