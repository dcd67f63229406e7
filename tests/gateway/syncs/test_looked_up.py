"""Recording an outcome reads a few rows, however many accounts and open syncs there are."""

from deploy.local.postgres import SUPERUSER, Postgres
from gateway.rows.accounts import Account
from gateway.store.pool import Connection, Pool
from gateway.syncs.record import record
from tests.gateway.conftest import opened
from tests.gateway.syncs.recorded import failed, outcome

ACCOUNTS, OPEN = 3000, 300
# Of each table, in all statements of a transaction that records one outcome.
FEW = 20
# PostgreSQL knows of the accounts and the ended syncs when it plans; the open syncs have come since.
FILL = f"""
insert into accounts select (jsonb_populate_record(accounts, jsonb_build_object(
    'id', gen_random_uuid(), 'exchange_uid', 'more-' || n))).*
    from accounts, generate_series(1, {ACCOUNTS}) n;
insert into syncs (id, user_id, account_id, exchange, status, deadline, finished_at)
    select gen_random_uuid(), user_id, id, exchange, 'failed', now(), now() from accounts;
analyze accounts, syncs;
insert into syncs (id, user_id, account_id, exchange, deadline)
    select gen_random_uuid(), user_id, id, exchange, now() + interval '2 minutes'
    from accounts where exchange_uid like 'more-%' limit {OPEN};
"""  # noqa: S608 - constants


async def rows_read(connection: Connection) -> dict[str, int]:
    """Return how many rows of each table this transaction has read so far."""
    cursor = await connection.execute(
        """select relname, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)
           from pg_stat_xact_user_tables where relname in ('accounts', 'syncs')"""
    )
    return dict(await cursor.fetchall())


async def test_recording_reads_neither_all_accounts_nor_all_open_syncs(
    pool: Pool, account: Account, clean_database: Postgres
) -> None:
    """One outcome costs the same beside thousands of accounts and hundreds of open syncs."""
    sync = await opened(pool, account)
    async with await clean_database.connect(SUPERUSER) as connection:
        await connection.execute(FILL.encode())

    async with pool.transaction() as connection:
        ended = await record(connection, outcome(sync, failed("trading"), failed("funding")))
        read = await rows_read(connection)

    assert ended is not None
    assert {table: count for table, count in read.items() if count > FEW} == {}
