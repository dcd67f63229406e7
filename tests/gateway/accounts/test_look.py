"""A user sees own accounts only, each with its pause, and no deleted one."""

from uuid import uuid4

import pytest

from contracts.faults import Code
from contracts.remedies import Standing
from gateway.accounts.look import find_account, list_accounts
from gateway.errors import NotFound
from gateway.rows.accounts import Account
from gateway.store import accounts
from gateway.store.pool import Pool
from tests.gateway.accounts.test_pause import TRADING, synced
from tests.gateway.accounts.test_reverify import said, settled
from tests.gateway.syncs.test_open import pause
from tests.gateway.syncs.test_recorder import another

pytestmark = pytest.mark.usefixtures("unpublished")


async def test_accounts_are_listed_each_with_its_own_pause(pool: Pool, account: Account) -> None:
    """Deleted ones are left out, and a pause is shown at its account alone."""
    paused, deleted = await another(pool, account, 1), await another(pool, account, 2)
    await pause(pool, paused)
    async with pool.transaction() as connection:
        await accounts.delete_account(connection, deleted.id)

    listed = await list_accounts(pool, account.user_id)

    reasons = {each.id: found and found.reason for each, found in listed}
    assert reasons == {account.id: None, paused.id: Code.UNKNOWN_RIGHT}


async def test_accounts_are_listed_in_the_order_of_their_ids(pool: Pool, account: Account) -> None:
    """Ids begin with the time, so a list keeps its order and a new account comes last."""
    many = [await another(pool, account, number) for number in range(3)]
    async with pool.transaction() as connection:
        await accounts.delete_account(connection, account.id)

    listed = await list_accounts(pool, account.user_id)

    assert [each.id for each, _ in listed] == [each.id for each in many]


async def test_a_user_without_accounts_sees_an_empty_list(pool: Pool, account: Account) -> None:
    """Accounts of other users are not in it."""
    assert await list_accounts(pool, uuid4()) == []


@pytest.mark.parametrize("whose", ["another user's", "deleted", "unknown"])
async def test_an_account_that_is_not_the_user_s_is_not_found(
    pool: Pool, account: Account, whose: str
) -> None:
    """All three answers are the same, so they do not reveal whether the id exists."""
    if whose == "deleted":
        async with pool.transaction() as connection:
            await accounts.delete_account(connection, account.id)

    with pytest.raises(NotFound):
        await find_account(
            pool,
            uuid4() if whose == "another user's" else account.user_id,
            uuid4() if whose == "unknown" else account.id,
        )


async def test_an_account_is_found_as_it_stands(pool: Pool, account: Account) -> None:
    """Active, then paused, then without a key."""
    found, stand = await find_account(pool, account.user_id, account.id)
    assert (found.id, stand.standing) == (account.id, Standing.ACTIVE)

    await synced(pool, account, TRADING)
    _, stand = await find_account(pool, account.user_id, account.id)
    assert stand.standing is Standing.PAUSED

    await settled(pool, account, said("1", "trade"))
    _, stand = await find_account(pool, account.user_id, account.id)
    assert stand.standing is Standing.KEYLESS
