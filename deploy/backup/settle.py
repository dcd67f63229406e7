"""The statements that settle a restored database before services use it."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg.types.json import Jsonb

from deploy.database.roles import Connection


class Restored(NamedTuple):
    """The moments to which the database and the vault went back; None for one that stayed."""

    database_at: datetime | None
    vault_at: datetime | None


async def credentials_of(connection: Connection) -> frozenset[UUID]:
    """Return the ids of all credentials and key offers that the database knows."""
    found = await connection.execute("select id from credentials")
    known = frozenset(UUID(str(credential)) for (credential,) in await found.fetchall())
    return known | {offer for offer, _ in await _offers(connection)}


async def settle(connection: Connection, restored: Restored, in_vault: Collection[UUID]) -> int:
    """Record the restore, and adapt the database to it in one transaction.

    - Accounts whose key the vault does not hold say so. Returns how many.
    - After the database went back, all logins end: it would accept refresh tokens that were used, sessions
      that were ended and passwords that were changed since. All operators are revoked alike, because it would
      accept tokens that were revoked since.
    - Open key offers whose key the vault does not hold end.
    - The places of open requests are forgotten, because new streams count from 1.
    """
    async with connection.transaction():
        await connection.execute("insert into restores (database_at, vault_at) values (%s, %s)", [*restored])
        moments = {name: at and at.isoformat() for name, at in restored._asdict().items()}
        await connection.execute(
            "insert into audit (action, detail) values ('system_restored', %s)", [Jsonb(moments)]
        )
        if restored.database_at is not None:
            await connection.execute(
                "update refresh_families set revoked_at = now() where revoked_at is null"
            )
            await connection.execute("update operators set revoked_at = now() where revoked_at is null")
        await connection.execute("update syncs set request_seq = null where status = 'queued'")
        keyless = await _end_offers(connection, in_vault)
        missing = await connection.execute(
            """update accounts set last_error_code = 'credential_missing'
               where deleted_at is null and (credential_id <> all(%s) or credential_id = any(%s))
                   and id <> all(%s) and credential_id not in
                   (select credential_id from account_pauses where destroyed_at is not null)""",
            [list(in_vault), keyless, await _sub_accounts(connection)],
        )
    return missing.rowcount


async def _end_offers(connection: Connection, in_vault: Collection[UUID]) -> list[UUID]:
    """End the open offers whose key the vault does not hold; returns the credentials whose offer it lacks."""
    lost = {offer: taken for offer, taken in await _offers(connection) if offer not in in_vault}
    if lost:
        await connection.execute(
            "update key_offers set ended_at = now() where id = any(%s) and credential_id is null",
            [list(lost)],
        )
    return [taken for taken in lost.values() if taken is not None]


async def _offers(connection: Connection) -> list[tuple[UUID, UUID | None]]:
    """Return the key offers that have not ended, each with the credential of the account that took it.

    A database of before their release has no table of them.
    """
    known = await (await connection.execute("select to_regclass('key_offers')")).fetchone()
    if known == (None,):
        return []
    found = await connection.execute("select id, credential_id from key_offers where ended_at is null")
    return [
        (UUID(str(offer)), None if taken is None else UUID(str(taken)))
        for offer, taken in await found.fetchall()
    ]


async def _sub_accounts(connection: Connection) -> list[UUID]:
    """Return the accounts of sub-accounts, which have no key of their own.

    A database of before their release has no table of them.
    """
    known = await (await connection.execute("select to_regclass('sub_accounts')")).fetchone()
    if known == (None,):
        return []
    found = await connection.execute("select account_id from sub_accounts")
    return [UUID(str(account_id)) for (account_id,) in await found.fetchall()]
