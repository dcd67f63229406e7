"""Replacing a key: the old one is in use until the new one is verified, and is then doomed."""

import pytest

from contracts.credentials import Refused, Verified
from contracts.faults import Code
from gateway.accounts.replace import replace
from gateway.errors import DifferentAccount, Faulted, NotFound
from gateway.rows.accounts import Account
from gateway.rows.pauses import Begun
from gateway.store import accounts, pauses
from tests.gateway.accounts.submitting import Scene
from tests.gateway.conftest import opened

pytestmark = pytest.mark.usefixtures("unpublished")
IN_USE = "select state from credentials where id = (select credential_id from accounts)"


async def test_the_new_key_takes_the_place_of_the_old_one(scene: Scene, account: Account) -> None:
    """The account keeps its name and gets the new credential, and the old one is destroyed."""
    accepted = await replace(scene.intake, scene.submission(account.user_id, account.id), account)

    assert accepted.account.name == account.name
    assert scene.others.stored == [accepted.account.credential_id]
    assert await scene.states() == ["doomed", "live"]
    assert await scene.rows(IN_USE) == [("live",)]


async def test_an_open_sync_keeps_the_old_key_until_its_deadline(scene: Scene, account: Account) -> None:
    """It was granted the old credential, which is destroyed after the sync's deadline."""
    sync = await opened(scene.intake.pool, account)

    await replace(scene.intake, scene.submission(account.user_id, account.id), account)

    rows = await scene.rows("select destroy_at from credentials where state = 'doomed'")
    assert rows == [(sync.deadline,)]


@pytest.mark.parametrize("said", [Refused(Code.KEY_REJECTED), Verified("1", "1", ("withdraw",), ())])
async def test_a_key_that_is_refused_leaves_the_old_one_in_use(
    scene: Scene, account: Account, said: Refused | Verified
) -> None:
    """The new credential is doomed, and the words say that the old key stays."""
    scene.others.verified = said

    with pytest.raises(Faulted) as caught:
        await replace(scene.intake, scene.submission(account.user_id, account.id), account)

    assert "The old key stays in use" in caught.value.detail
    assert await scene.rows(IN_USE) == [("live",)]
    assert await scene.states() == ["live", "doomed"]


async def test_the_key_of_another_account_is_refused(scene: Scene, account: Account) -> None:
    """Balances of two accounts of the exchange never mix."""
    scene.others.verified = Verified("2", "2", ("read_only",), ())

    with pytest.raises(DifferentAccount):
        await replace(scene.intake, scene.submission(account.user_id, account.id), account)

    assert await scene.states() == ["live", "doomed"]
    assert await scene.refusals() == ["different_account"]


async def test_a_new_key_ends_the_pause(scene: Scene, account: Account) -> None:
    """The account syncs again with a key that may only read."""
    assert account.credential_id is not None
    begun = Begun(account.id, account.credential_id, Code.UNKNOWN_RIGHT, ("lend",))
    async with scene.intake.pool.transaction() as connection:
        await pauses.begin(connection, [begun], 3600)

    await replace(scene.intake, scene.submission(account.user_id, account.id), account)

    async with scene.intake.pool.transaction() as connection:
        assert await pauses.find(connection, [account.id]) == {}


async def test_an_account_that_was_deleted_meanwhile_gets_no_key(scene: Scene, account: Account) -> None:
    """The new credential is doomed, and the words name the deletion."""
    async with scene.intake.pool.transaction() as connection:
        await accounts.delete_account(connection, account.id)

    with pytest.raises(NotFound) as caught:
        await replace(scene.intake, scene.submission(account.user_id, account.id), account)

    assert "The account was deleted meanwhile" in caught.value.detail
    assert (await scene.states())[1] == "doomed"
