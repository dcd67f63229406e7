"""The names that users give their accounts."""

from uuid import UUID

from gateway.accounts.pasted import trimmed
from gateway.errors import InvalidInput, NotFound
from gateway.rows.accounts import Account
from gateway.rows.pauses import Pause
from gateway.store import accounts, audit, pauses
from gateway.store.audit import Action
from gateway.store.pool import Pool

MAX_NAME = 64


def checked_name(text: str) -> str:
    """Return a name with its ends trimmed; raises InvalidInput."""
    name = trimmed(text)
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise InvalidInput(f"The name must have 1 to {MAX_NAME} printable characters.")
    return name


async def rename(pool: Pool, user_id: UUID, account_id: UUID, name: str) -> tuple[Account, Pause | None]:
    """Rename a user's account; raises InvalidInput and NotFound."""
    checked = checked_name(name)
    async with pool.transaction() as connection:
        account = await accounts.rename(connection, user_id, account_id, checked)
        if account is None:
            raise NotFound
        paused = await pauses.find(connection, [account_id])
        await audit.record(connection, Action.ACCOUNT_RENAMED, user_id, account_id)
    return account, paused.get(account_id)
