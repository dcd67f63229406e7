"""Expired rows are deleted by a table of when they expire, and no row earlier."""

import pytest
from psycopg import sql

from deploy.local.postgres import Postgres
from gateway.store.expiry import EXPIRIES, delete_expired
from gateway.store.pool import Pool
from gateway.store.users import User
from tests.system.test_sweeper import run

# For each table a statement that inserts a row of some age, and the age at which the row expires.
ROWS = {
    "refresh_families": (
        """insert into refresh_families (id, user_id, expires_at)
           select gen_random_uuid(), id, now() - interval '{0}' from users""",
        "1 day",
    ),
    "idempotency_keys": (
        "insert into idempotency_keys select id, '{0}', '', id, now() - interval '{0}' from users",
        "24 hours",
    ),
    "sync_settlements": (
        "insert into sync_settlements values (gen_random_uuid(), now() - interval '{0}')",
        "1 hour",
    ),
    "rate_limits": ("insert into rate_limits values ('a', '{0}', 1, now() - interval '{0}')", "0 hours"),
    "login_failures": (
        "insert into login_failures values (sha256('{0}'), 4, now() - interval '{0}', now())",
        "1 hour",
    ),
    "drift": (
        """with placed as (insert into account_wallets (account_id, wallet, sync_number)
                           select id, 'earn', 1 from accounts on conflict do nothing)
           insert into drift select id, 'earn', hashtext('{0}'), now() - interval '{0}' from accounts""",
        "90 days",
    ),
    "key_offers": (
        """insert into key_offers (id, user_id, exchange, region, kind, expires_at, ended_at)
           select gen_random_uuid(), id, 'binance', 'global', 'born', now(), now() - interval '{0}'
           from users""",
        "1 day",
    ),
    "known_networks": (
        "insert into known_networks select id, sha256('{0}'), now() - interval '{0}' from users",
        "90 days",
    ),
}


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("table", EXPIRIES)
async def test_a_row_is_deleted_when_it_expires_and_not_before(
    pool: Pool, database: Postgres, table: str
) -> None:
    """Of two rows, a minute older and a minute younger than the age, the older one is deleted."""
    insert, age = ROWS[table]
    for difference in ("1 minute", "-1 minute"):
        await run(database, insert.format(f"{age} {difference}"))

    async with pool.transaction() as connection:
        deleted = [await delete_expired(connection, 100, name) for name in EXPIRIES if name == table]

    assert deleted == [1]
    left = await run(database, sql.SQL("select 1 from {}").format(sql.Identifier(table)).as_string())
    assert left == [(1,)]


async def test_a_batch_deletes_no_more_than_its_limit(pool: Pool, database: Postgres, user: User) -> None:
    """So that its locks are short."""
    for number in range(3):
        await run(
            database,
            "insert into idempotency_keys values (%s, %s, '', %s, now() - interval '2 days')",
            user.id,
            str(number),
            user.id,
        )

    async with pool.transaction() as connection:
        counts = [await delete_expired(connection, 2, "idempotency_keys") for _ in range(3)]

    assert counts == [2, 1, 0]
