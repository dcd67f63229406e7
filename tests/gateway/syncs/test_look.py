"""A user sees own syncs and batches only, in pages from the newest to the oldest."""

from uuid import UUID, uuid4

import pytest
from uuid_utils.compat import uuid7

from contracts.remedies import Standing
from contracts.syncs import Status
from gateway.errors import InvalidInput, NotFound
from gateway.rows.accounts import Account
from gateway.rows.syncs import Sync
from gateway.store import accounts, batches
from gateway.store.pool import Pool
from gateway.syncs.look import Asked, find_batch, find_sync, list_syncs
from tests.gateway.accounts.test_pause import recorded
from tests.gateway.conftest import opened
from tests.gateway.syncs.test_open import pause
from tests.gateway.syncs.test_recorder import another, failed

pytestmark = pytest.mark.usefixtures("unpublished")


async def ended(pool: Pool, account: Account, many: int = 1) -> list[Sync]:
    """Open and end syncs, one after the other."""
    return [await recorded(pool, failed(await opened(pool, account))) for _ in range(many)]


async def batch_of(pool: Pool, user_id: UUID, *members: Sync) -> UUID:
    """Insert a batch of syncs."""
    batch_id = uuid7()
    async with pool.transaction() as connection:
        await batches.insert_batch(connection, batch_id, user_id, [each.id for each in members])
    return batch_id


async def delete(pool: Pool, account: Account) -> None:
    """Delete an account."""
    async with pool.transaction() as connection:
        await accounts.delete_account(connection, account.id)


async def test_a_sync_is_found_with_the_state_of_its_account(pool: Pool, account: Account) -> None:
    """As it stands now: a pause or a deletion since then changes the next action."""
    (sync,) = await ended(pool, account)

    found, stand = await find_sync(pool, account.user_id, sync.id)
    assert (found.id, found.status, stand.standing) == (sync.id, Status.FAILED, Standing.ACTIVE)

    await pause(pool, account)
    _, stand = await find_sync(pool, account.user_id, sync.id)
    assert stand.standing is Standing.PAUSED

    await delete(pool, account)
    _, stand = await find_sync(pool, account.user_id, sync.id)
    assert stand.standing is Standing.DELETED


async def test_a_sync_of_another_user_is_not_found(pool: Pool, account: Account) -> None:
    """It is as unknown as one that does not exist."""
    (sync,) = await ended(pool, account)

    for user_id, sync_id in ((uuid4(), sync.id), (account.user_id, uuid4())):
        with pytest.raises(NotFound):
            await find_sync(pool, user_id, sync_id)


async def test_a_batch_is_found_with_every_account_s_state(pool: Pool, account: Account) -> None:
    """The deleted and the paused one keep their syncs."""
    paused, deleted = await another(pool, account, 1), await another(pool, account, 2)
    members = [(await ended(pool, each))[0] for each in (account, paused, deleted)]
    batch_id = await batch_of(pool, account.user_id, *members)
    await pause(pool, paused)
    await delete(pool, deleted)

    found, stands = await find_batch(pool, account.user_id, batch_id)

    assert {each.id for each in found} == {each.id for each in members}
    assert {each: stand.standing for each, stand in stands.items()} == {
        account.id: Standing.ACTIVE,
        paused.id: Standing.PAUSED,
        deleted.id: Standing.DELETED,
    }


async def test_an_empty_batch_is_found(pool: Pool, account: Account) -> None:
    """That of a user who had no account."""
    batch_id = await batch_of(pool, account.user_id)

    assert await find_batch(pool, account.user_id, batch_id) == ([], {})


async def test_a_batch_of_another_user_is_not_found(pool: Pool, account: Account) -> None:
    """It is as unknown as one that does not exist."""
    batch_id = await batch_of(pool, account.user_id, *await ended(pool, account))

    for user_id, wanted in ((uuid4(), batch_id), (account.user_id, uuid4())):
        with pytest.raises(NotFound):
            await find_batch(pool, user_id, wanted)


async def test_pages_hold_every_sync_once_from_the_newest(pool: Pool, account: Account) -> None:
    """Also when syncs are added meanwhile, and the last full page says that it is the last."""
    made = await ended(pool, account, 4)
    await ended(pool, await another(pool, account, 1))

    first = await list_syncs(pool, account.user_id, account.id, Asked(None, 2))
    await ended(pool, account)
    second = await list_syncs(pool, account.user_id, account.id, Asked(first.syncs[-1].id, 2))

    assert (first.more, second.more) == (True, False)
    assert [each.id for each in (*first.syncs, *second.syncs)] == [each.id for each in reversed(made)]
    assert first.stand.standing is Standing.ACTIVE


async def test_after_the_oldest_sync_a_page_is_empty(pool: Pool, account: Account) -> None:
    """A client may follow a cursor that it kept."""
    (sync,) = await ended(pool, account)

    page = await list_syncs(pool, account.user_id, account.id, Asked(sync.id, 2))

    assert (page.syncs, page.more) == ([], False)


async def test_a_cursor_of_another_account_is_refused(pool: Pool, account: Account) -> None:
    """A page from there would leave out syncs without a word."""
    (foreign,) = await ended(pool, await another(pool, account, 1))

    for cursor in (foreign.id, uuid4()):
        with pytest.raises(InvalidInput) as caught:
            await list_syncs(pool, account.user_id, account.id, Asked(cursor, 2))
        assert "begin again without a cursor" in caught.value.detail


@pytest.mark.parametrize("whose", ["another user's", "deleted", "unknown"])
async def test_syncs_of_an_account_that_is_not_the_user_s_are_not_found(
    pool: Pool, account: Account, whose: str
) -> None:
    """With a cursor of that account, too."""
    (sync,) = await ended(pool, account)
    if whose == "deleted":
        await delete(pool, account)

    for cursor in (None, sync.id):
        with pytest.raises(NotFound):
            await list_syncs(
                pool,
                uuid4() if whose == "another user's" else account.user_id,
                uuid4() if whose == "unknown" else account.id,
                Asked(cursor),
            )
