"""Connected accounts."""

from uuid import UUID

import msgspec
from psycopg.errors import UniqueViolation

from gateway.rows.accounts import Account
from gateway.store.pool import Connection, execute, fetch_all, fetch_one


class Duplicate(Exception):
    """The user has already connected this exchange account."""


async def insert_account(connection: Connection, account: Account) -> Account:
    """Insert an account and return it as stored; raises Duplicate, which leaves the transaction usable."""
    try:
        async with connection.transaction():
            (stored,) = await fetch_all(
                connection,
                Account,
                """insert into accounts (id, user_id, exchange, region, name, credential_id, exchange_uid,
                                         master_uid, permissions, ip_bound, api_key_hint)
                   values (%(id)s, %(user_id)s, %(exchange)s, %(region)s, %(name)s, %(credential_id)s,
                           %(exchange_uid)s, %(master_uid)s, %(permissions)s, %(ip_bound)s,
                           %(api_key_hint)s) returning *""",
                **{**msgspec.structs.asdict(account), "permissions": list(account.permissions)},
            )
    except UniqueViolation:
        raise Duplicate from None
    return stored


async def find_account(connection: Connection, user_id: UUID, account_id: UUID) -> Account | None:
    """Find an account of a user."""
    return await fetch_one(
        connection,
        Account,
        "select * from accounts where id = %(id)s and user_id = %(user_id)s and deleted_at is null",
        id=account_id,
        user_id=user_id,
    )


async def lock_account(connection: Connection, account_id: UUID) -> Account | None:
    """Lock and return an account of any user, also a deleted one."""
    return await fetch_one(
        connection, Account, "select * from accounts where id = %(id)s for update", id=account_id
    )


async def find_by_exchange_uid(
    connection: Connection, user_id: UUID, exchange: str, exchange_uid: str
) -> Account | None:
    """Find a user's account by its uid at the exchange."""
    return await fetch_one(
        connection,
        Account,
        """select * from accounts where user_id = %(user_id)s and exchange = %(exchange)s
           and exchange_uid = %(exchange_uid)s and deleted_at is null""",
        user_id=user_id,
        exchange=exchange,
        exchange_uid=exchange_uid,
    )


async def list_accounts(connection: Connection, user_id: UUID) -> list[Account]:
    """List a user's accounts, oldest first."""
    return await fetch_all(
        connection,
        Account,
        "select * from accounts where user_id = %(user_id)s and deleted_at is null order by id",
        user_id=user_id,
    )


async def count_accounts(connection: Connection, user_id: UUID) -> int:
    """Count a user's accounts."""
    rows = await connection.execute(
        "select count(*) from accounts where user_id = %s and deleted_at is null", [user_id]
    )
    ((count,),) = await rows.fetchall()
    return int(count)


async def rename(connection: Connection, user_id: UUID, account_id: UUID, name: str) -> Account | None:
    """Rename a user's account."""
    return await fetch_one(
        connection,
        Account,
        """update accounts set name = %(name)s
           where id = %(id)s and user_id = %(user_id)s and deleted_at is null returning *""",
        id=account_id,
        user_id=user_id,
        name=name,
    )


async def replace_credential(connection: Connection, account: Account) -> Account:
    """Replace the credential of an account, with the data that the exchange reported about it."""
    (stored,) = await fetch_all(
        connection,
        Account,
        """update accounts set credential_id = %(credential_id)s, region = %(region)s,
                  permissions = %(permissions)s, ip_bound = %(ip_bound)s, api_key_hint = %(api_key_hint)s,
                  last_error_code = null
           where id = %(id)s returning *""",
        **{**msgspec.structs.asdict(account), "permissions": list(account.permissions)},
    )
    return stored


async def take_over(connection: Connection, account: Account) -> Account:
    """Give a locked account of a sub-account a key of its own, and the name that its user chose."""
    (stored,) = await fetch_all(
        connection,
        Account,
        """update accounts set credential_id = %(credential_id)s, region = %(region)s, name = %(name)s,
                  master_uid = %(master_uid)s, permissions = %(permissions)s, ip_bound = %(ip_bound)s,
                  api_key_hint = %(api_key_hint)s, last_error_code = null
           where id = %(id)s returning *""",
        **{**msgspec.structs.asdict(account), "permissions": list(account.permissions)},
    )
    return stored


async def set_credential(connection: Connection, account_id: UUID, credential_id: UUID) -> None:
    """Set the credential of an account and leave its other data."""
    await execute(
        connection,
        "update accounts set credential_id = %(credential_id)s where id = %(id)s",
        id=account_id,
        credential_id=credential_id,
    )


async def forget_error(connection: Connection, account_id: UUID) -> None:
    """Delete the error of the last sync, because it was resolved without another sync."""
    await execute(connection, "update accounts set last_error_code = null where id = %(id)s", id=account_id)


async def delete_account(connection: Connection, account_id: UUID) -> None:
    """Delete an account and its balances; its syncs stay as recorded outcomes."""
    await execute(connection, "delete from account_wallets where account_id = %(id)s", id=account_id)
    await execute(
        connection,
        """update accounts set deleted_at = now(), credential_id = null, name = '', api_key_hint = '',
                  permissions = '{}' where id = %(id)s""",
        id=account_id,
    )
