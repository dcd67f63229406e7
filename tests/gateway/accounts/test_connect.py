"""Connecting an account ends with a verified key, or without any trace of the key."""

import asyncio
from uuid import uuid4

import pytest

from contracts.credentials import Refused, Verified
from contracts.faults import Code
from gateway.accounts.connect import connect
from gateway.errors import (
    AccountExists,
    Faulted,
    InvalidInput,
    NotSignedIn,
    RateLimitExceeded,
    TooBusy,
    TooManyAccounts,
)
from gateway.limits import MAX_ACCOUNTS
from tests.gateway.accounts.submitting import CREDENTIALS, Scene
from tests.waiting import until

ACCOUNTS = "select id, name, exchange_uid, credential_id from accounts"
AUDIT = "select action from audit order by id"
MANY = """
    with kept as (
        insert into credentials (id, user_id, exchange, state)
        select gen_random_uuid(), %s, 'okx', 'live' from generate_series(1, 100) returning id, user_id)
    insert into accounts (id, user_id, exchange, region, name, credential_id, exchange_uid, master_uid,
                          permissions, ip_bound, api_key_hint)
    select gen_random_uuid(), user_id, 'okx', 'global', 'one', id, id::text, '1', '{}', false, '' from kept
"""


async def test_a_verified_key_is_the_account_s(scene: Scene) -> None:
    """The credential that the vault stored and the worker verified is live, and the audit has both steps."""
    await scene.registered()

    accepted = await connect(scene.intake, scene.submission(), " main\n")

    account = accepted.account
    assert await scene.rows(ACCOUNTS) == [(account.id, "main", "1", account.credential_id)]
    assert scene.others.stored == scene.others.asked == [account.credential_id]
    assert await scene.states() == ["live"]
    assert await scene.rows(AUDIT) == [("credential_submitted",), ("account_connected",)]
    assert [each.left for each in accepted.allowances] == [4]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (Refused(Code.KEY_REJECTED), Code.KEY_REJECTED),
        (Refused(Code.EXCHANGE_TIMEOUT), Code.EXCHANGE_TIMEOUT),
        (Verified("1", "1", ("read_only", "trade"), ()), Code.OVER_PRIVILEGED_KEY),
        (Verified("1", "1", (), ()), Code.PERMISSION_MISSING),
    ],
)
async def test_a_key_that_is_refused_is_doomed(scene: Scene, said: Refused | Verified, code: Code) -> None:
    """It is destroyed at once, because the broker is done with it; the audit has the reason."""
    await scene.registered()
    scene.others.verified = said

    with pytest.raises(Faulted) as caught:
        await connect(scene.intake, scene.submission(), "main")

    assert caught.value.code == code
    assert "we delete this key" in caught.value.detail
    assert await scene.rows(CREDENTIALS) == [("doomed", True)]
    assert await scene.refusals() == [code]
    assert await scene.rows(ACCOUNTS) == []


@pytest.mark.parametrize(("code", "at_once"), [(Code.SECRET_UNUSABLE, True), (Code.VAULT_UNAVAILABLE, False)])
async def test_what_the_vault_may_still_store_is_destroyed_later(
    scene: Scene, code: Code, *, at_once: bool
) -> None:
    """After a certain refusal it is destroyed at once; else when a store must have ended."""
    await scene.registered()
    scene.others.stores = [Refused(code)]

    with pytest.raises(Faulted) as caught:
        await connect(scene.intake, scene.submission(), "main")

    assert caught.value.code == code
    assert await scene.rows(CREDENTIALS) == [("doomed", at_once)]
    assert scene.others.asked == []


async def test_keys_that_changed_cost_one_more_try_under_another_id(scene: Scene) -> None:
    """The first credential is doomed, and the second is the account's."""
    await scene.registered()
    scene.others.stores = [Refused(Code.KEYS_CHANGED)]

    account = (await connect(scene.intake, scene.submission(), "main")).account

    first, second = scene.others.stored
    assert first != second == account.credential_id
    assert await scene.states() == ["doomed", "live"]
    assert await scene.refusals() == [Code.KEYS_CHANGED]


async def test_keys_that_change_twice_refuse_the_submission(scene: Scene) -> None:
    """There is no third try, and both credentials are doomed."""
    await scene.registered()
    scene.others.stores = [Refused(Code.KEYS_CHANGED)] * 2

    with pytest.raises(Faulted) as caught:
        await connect(scene.intake, scene.submission(), "main")

    assert caught.value.code == Code.KEYS_CHANGED
    assert await scene.states() == ["doomed", "doomed"]
    assert len(scene.others.stored) == 2


async def test_an_account_that_is_connected_is_named(scene: Scene) -> None:
    """The second key is doomed, and the account keeps the first."""
    await scene.registered()
    account = (await connect(scene.intake, scene.submission(), "main")).account

    with pytest.raises(AccountExists) as caught:
        await connect(scene.intake, scene.submission(), "again")

    assert caught.value.members == {"account_id": str(account.id)}
    assert await scene.states() == ["live", "doomed"]
    assert await scene.refusals() == ["account_exists"]


async def test_a_client_that_goes_leaves_nothing(scene: Scene) -> None:
    """A request that is cancelled during the verification dooms its key."""
    await scene.registered()
    scene.others.free.clear()
    request = asyncio.create_task(connect(scene.intake, scene.submission(), "main"))

    async def asked() -> bool:
        return bool(scene.others.asked)

    await until(asked)
    request.cancel()
    await asyncio.wait([request])
    scene.others.free.set()

    assert request.cancelled()
    assert await scene.states() == ["doomed"]
    assert await scene.refusals() == [None]


async def test_a_user_who_is_deleted_meanwhile_has_no_account(scene: Scene) -> None:
    """The key of a deleted user is doomed."""
    await scene.registered()
    await scene.rows("update users set password_hash = 'deleted'")

    with pytest.raises(NotSignedIn):
        await connect(scene.intake, scene.submission(), "main")

    assert await scene.states() == ["doomed"]
    assert await scene.rows(ACCOUNTS) == []


async def test_one_account_too_many_is_refused_before_the_vault_hears_of_it(scene: Scene) -> None:
    """The number of accounts is limited, and the key is not stored."""
    await scene.registered()
    await scene.rows(MANY, scene.user_id)

    with pytest.raises(TooManyAccounts, match="too_many_accounts"):
        await connect(scene.intake, scene.submission(), "main")

    assert len(await scene.rows(ACCOUNTS)) == MAX_ACCOUNTS
    assert scene.others.stored == []


async def test_a_name_that_can_not_be_shown_is_refused_before_the_vault_hears_of_it(scene: Scene) -> None:
    """The gateway stores and counts nothing."""
    await scene.registered()

    with pytest.raises(InvalidInput):
        await connect(scene.intake, scene.submission(), "\u200b")

    assert scene.others.stored == []
    assert await scene.rows("select 1 from rate_limits") == []


async def test_submissions_are_limited(scene: Scene) -> None:
    """A number per window, and a quarter of the slots at once."""
    await scene.registered()
    scene.others.verified = Refused(Code.KEY_REJECTED)
    for _ in range(5):
        with pytest.raises(Faulted):
            await connect(scene.intake, scene.submission(), "main")

    with pytest.raises(RateLimitExceeded):
        await connect(scene.intake, scene.submission(), "main")

    assert len(scene.others.stored) == 5
    stranger = uuid4()
    with (
        scene.intake.place(stranger),
        scene.intake.place(stranger),
        pytest.raises(TooBusy),
    ):
        await connect(scene.intake, scene.submission(stranger), "main")
