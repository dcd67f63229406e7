"""A user names own accounts only, and a name is short text that a line can show."""

from uuid import UUID, uuid4

import pytest

from contracts.faults import Code
from deploy.local.postgres import Postgres
from gateway.accounts.change import Changed, Changes, change
from gateway.accounts.names import MAX_NAME, checked_name
from gateway.errors import InvalidInput, NotFound
from gateway.rows.accounts import Account
from gateway.store import accounts
from gateway.store.pool import Pool
from tests.gateway.syncs.test_open import pause
from tests.system.test_sweeper import run

NAMES = "select name from accounts"
AUDIT = "select action, user_id, subject from audit"


async def rename(pool: Pool, user_id: UUID, account_id: UUID, name: str) -> Changed:
    """Rename an account, and leave its schedule."""
    return await change(pool, user_id, account_id, Changes(name))


@pytest.mark.parametrize("text", ["", "  \n", "x" * (MAX_NAME + 1), "a\nb", "a\u202eb", "a\0b"])
async def test_a_name_that_can_not_be_shown_is_refused(
    pool: Pool, account: Account, database: Postgres, text: str
) -> None:
    """The account keeps its name, and the audit has no row."""
    with pytest.raises(InvalidInput):
        await rename(pool, account.user_id, account.id, text)

    assert await run(database, NAMES) == [(account.name,)]
    assert await run(database, AUDIT) == []


@pytest.mark.parametrize("text", ["x", "x" * MAX_NAME, "币安人生 🦊", "a  b", "<b>"])
def test_any_other_name_is_taken_as_it_is(text: str) -> None:
    """Only white space at its ends, as pasted, is trimmed."""
    assert checked_name(f" {text}\n") == text


async def test_a_renamed_account_has_one_audit_row(pool: Pool, account: Account, database: Postgres) -> None:
    """The account is returned as stored, and is not paused."""
    renamed = await rename(pool, account.user_id, account.id, " savings\n")

    assert (renamed.account.id, renamed.account.name, renamed.pause) == (account.id, "savings", None)
    assert await run(database, NAMES) == [("savings",)]
    assert await run(database, AUDIT) == [("account_renamed", account.user_id, account.id)]


async def test_a_paused_account_can_be_renamed(pool: Pool, account: Account) -> None:
    """The pause is returned with it, so that the response shows it."""
    await pause(pool, account)

    renamed = await rename(pool, account.user_id, account.id, "savings")

    assert renamed.account.name == "savings"
    assert renamed.pause is not None
    assert renamed.pause.reason == Code.UNKNOWN_RIGHT


@pytest.mark.parametrize("whose", ["another user's", "deleted", "unknown"])
async def test_an_account_that_is_not_the_user_s_is_not_found(
    pool: Pool, account: Account, database: Postgres, whose: str
) -> None:
    """The name stays, and the audit has no row."""
    if whose == "deleted":
        async with pool.transaction() as connection:
            await accounts.delete_account(connection, account.id)
    before = await run(database, NAMES)

    with pytest.raises(NotFound):
        await rename(
            pool,
            uuid4() if whose == "another user's" else account.user_id,
            uuid4() if whose == "unknown" else account.id,
            "mine",
        )

    assert await run(database, NAMES) == before
    assert await run(database, AUDIT) == []
