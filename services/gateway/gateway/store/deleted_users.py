"""Deleted users: the row that remains, and their data that is still to be deleted."""

from uuid import UUID

from gateway.store.pool import Connection, execute
from gateway.store.users import NO_PASSWORD, User

# Requests admitted before the deletion may run for a minute, also at gateways of the previous version.
RECHECKED_FOR = "10 minutes"


async def delete_user(connection: Connection, user: User) -> bool:
    """Delete a user's email address and password; False if the password was changed meanwhile.

    Call this before locking accounts: other transactions lock an account first, then read its user. The
    address that remains can not be registered or used to sign in.
    """
    deleted = await execute(
        connection,
        """update users set email = 'deleted ' || id::text, password_hash = %(none)s
           where id = %(id)s and password_hash = %(hash)s""",
        id=user.id,
        hash=user.password_hash,
        none=NO_PASSWORD,
    )
    if deleted:
        await execute(connection, "insert into deleted_users (user_id) values (%(id)s)", id=user.id)
    return deleted == 1


async def list_to_empty(connection: Connection, after: UUID, limit: int) -> list[UUID]:
    """List deleted users who may have remaining data, by id, from the first one after `after`."""
    rows = await connection.execute(
        """select user_id from deleted_users where emptied_at is null and user_id > %s
           order by user_id limit %s""",
        [after, limit],
    )
    return [row[0] for row in await rows.fetchall()]


async def forget_exchange_uids(connection: Connection, user_id: UUID) -> None:
    """Delete the exchange uids from the deleted accounts of a user."""
    await execute(
        connection,
        """update accounts set exchange_uid = '', master_uid = ''
           where user_id = %(user_id)s and deleted_at is not null
              and (exchange_uid <> '' or master_uid <> '')""",
        user_id=user_id,
    )


async def forget_idempotency_keys(connection: Connection, user_id: UUID) -> None:
    """Delete the idempotency keys of a user, because they are texts that the user chose."""
    await execute(connection, "delete from idempotency_keys where user_id = %(user_id)s", user_id=user_id)


async def forget_reads(connection: Connection, limit: int) -> int:
    """Delete the reads from syncs of users who were deleted some time ago; returns how many.

    At most `limit` at once. The syncs stay as recorded outcomes.
    """
    return await execute(
        connection,
        """update syncs set wallets = '[]', holdings_count = null where id in (
               select syncs.id from deleted_users deleted
               join accounts on accounts.user_id = deleted.user_id and accounts.deleted_at is not null
               join syncs on syncs.account_id = accounts.id
               where deleted.emptied_at is null and deleted.deleted_at < now() - %(time)s::interval
                  and syncs.status <> 'queued' and (syncs.wallets <> '[]' or syncs.holdings_count is not null)
               limit %(limit)s for update of syncs skip locked)""",
        time=RECHECKED_FOR,
        limit=limit,
    )


async def set_emptied(connection: Connection, user_ids: list[UUID]) -> int:
    """Mark those of the deleted users whose last data are deleted; returns how many."""
    return await execute(
        connection,
        """update deleted_users set emptied_at = now() where user_id in (
               select user_id from deleted_users deleted
               where user_id = any(%(ids)s) and emptied_at is null
                  and deleted_at < now() - %(time)s::interval
                  and not exists (select from accounts where accounts.user_id = deleted.user_id
                                  and accounts.deleted_at is null)
                  and not exists (select from accounts join syncs on syncs.account_id = accounts.id
                                  where accounts.user_id = deleted.user_id and accounts.deleted_at is not null
                                     and (syncs.status = 'queued' or syncs.wallets <> '[]'
                                          or syncs.holdings_count is not null))
               for update skip locked)""",
        time=RECHECKED_FOR,
        ids=user_ids,
    )
