"""An outcome counts only for the sync of its grant; a forged one does not affect a sync."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.faults import Code
from contracts.wire.grants import VERIFY, Grant, grant_mark, sign_grant, sync_purpose
from contracts.wire.key_files import SigningKeys
from tests.gateway.syncs.sweeping.conftest import Sweeping
from tests.waiting import until

SUBJECT = "butler.sync.failed.okx"
SOON = timedelta(minutes=2)


class Scene:
    """An open sync, its account, and the gateway's key."""

    def __init__(self, sync_id: UUID, account_id: UUID, credential_id: UUID, key: Ed25519PrivateKey) -> None:
        self.sync_id, self.account_id, self.credential_id, self.key = sync_id, account_id, credential_id, key

    def grant(self, key: Ed25519PrivateKey | None = None, **changed: Any) -> str:
        """Sign the sync's grant, with some fields changed."""
        good = Grant(self.credential_id, "okx", sync_purpose(self.sync_id), datetime.now(UTC) + SOON)
        return sign_grant(msgspec.structs.replace(good, **changed), key or self.key)

    def outcome(self, grant: Any, **changed: Any) -> dict[str, Any]:
        """Write a failed outcome as a worker does."""
        said = {
            "type": "failed",
            "sync_id": str(self.sync_id),
            "account_id": str(self.account_id),
            "exchange": "okx",
            "error_code": "key_unknown",
            "error": "no such key",
            "grant": grant,
        }
        return said | changed


async def opened(sweeping: Sweeping) -> Scene:
    """Open a sync."""
    (sync_id,) = await sweeping.opened()
    ((account_id, credential_id),) = await sweeping.rows(
        """select account_id, credential_id from syncs join accounts on accounts.id = account_id
           where syncs.id = %s""",
        sync_id,
    )
    return Scene(sync_id, UUID(str(account_id)), UUID(str(credential_id)), sweeping.key)


async def said(sweeping: Sweeping, body: Any, message_id: str) -> None:
    """Publish an outcome."""
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    await sweeping.admin.jetstream().publish(SUBJECT, raw, headers={"Nats-Msg-Id": message_id})


async def buried(sweeping: Sweeping) -> bool:
    """Return whether there is a dead letter."""
    return (await sweeping.state("DEAD_LETTERS"))[0] == 1


async def state(sweeping: Sweeping, sync_id: UUID) -> object:
    """Return the state and the code of a sync."""
    return (await sweeping.rows("select status, error_code from syncs where id = %s", sync_id))[0]


Forgery = Callable[[Scene], Any]
FORGERIES: dict[str, Forgery] = {
    "another key": lambda scene: scene.grant(Ed25519PrivateKey.generate()),
    "another sync": lambda scene: scene.grant(purpose=sync_purpose(uuid4())),
    "a verification": lambda scene: scene.grant(purpose=VERIFY),
    "another credential": lambda scene: scene.grant(credential_id=uuid4()),
    "another exchange": lambda scene: scene.grant(exchange="moon"),
    "another spelling": lambda scene: scene.grant() + "=",
    "no grant at all": lambda _: "click here",
    "an empty text": lambda _: "",
    "a text without an end": lambda _: "A" * 100_000,
    "a number": lambda _: 1,
    "a list": lambda scene: [scene.grant()],
}


@pytest.mark.parametrize("readable", [True, False], ids=["readable", "not readable"])
@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_forged_outcome_is_a_dead_letter_and_its_sync_gets_its_own(
    sweeping: Sweeping, forgery: str, *, readable: bool
) -> None:
    """Neither the outcome nor its dead letter ends the sync, and its message id blocks no honest one."""
    scene = await opened(sweeping)
    forged = scene.outcome(FORGERIES[forgery](scene), **({} if readable else {"error_code": None}))
    async with sweeping.recording():
        await said(sweeping, forged, f"{scene.sync_id}:outcome")
        await until(lambda: buried(sweeping))
        assert await state(sweeping, scene.sync_id) == ("queued", None)

        grant = scene.grant()
        honest = scene.outcome(grant, error_code="key_rejected")
        await said(sweeping, honest, f"{scene.sync_id}:outcome:{grant_mark(grant)}")

        async def ended() -> bool:
            return await state(sweeping, scene.sync_id) == ("failed", "key_rejected")

        await until(ended)
    assert await sweeping.rows("select error from syncs where error like %s", "%click%") == []


@pytest.mark.parametrize("over", [False, True], ids=["in time", "days later"])
@pytest.mark.parametrize("granted", [True, False], ids=["with its grant", "of the previous version"])
async def test_an_outcome_with_its_grant_or_with_none_is_recorded(
    sweeping: Sweeping, *, granted: bool, over: bool
) -> None:
    """Outcomes may wait for days: an expired grant does not matter. Old workers send no grant."""
    scene = await opened(sweeping)
    exp = datetime.now(UTC) + (-timedelta(days=6) if over else SOON)
    body = scene.outcome(scene.grant(exp=exp))
    if not granted:
        del body["grant"]
    async with sweeping.recording():
        await said(sweeping, body, f"{scene.sync_id}:outcome")

        async def ended() -> bool:
            return await state(sweeping, scene.sync_id) == ("failed", "key_unknown")

        await until(ended)


async def test_an_outcome_with_a_grant_of_the_key_before_is_recorded(sweeping: Sweeping) -> None:
    """As long as the gateway knows that key: a sync keeps its grant while the key is rotated."""
    scene = await opened(sweeping)
    current = Ed25519PrivateKey.generate()

    async def ended() -> bool:
        return await state(sweeping, scene.sync_id) == ("failed", "key_unknown")

    async with sweeping.recording(SigningKeys(current)):
        await said(sweeping, scene.outcome(scene.grant()), f"{scene.sync_id}:outcome:1")
        await until(lambda: buried(sweeping))
        assert not await ended()
    async with sweeping.recording(SigningKeys(current, (scene.key,))):
        await said(sweeping, scene.outcome(scene.grant()), f"{scene.sync_id}:outcome:2")
        await until(ended)


@pytest.mark.parametrize("destroyed", [False, True])
async def test_an_outcome_of_a_credential_that_was_replaced_is_recorded(
    sweeping: Sweeping, *, destroyed: bool
) -> None:
    """The sync was granted the earlier key, which may be destroyed as soon as the grant is over."""
    scene = await opened(sweeping)
    await sweeping.rows(
        """with fresh as (insert into credentials (id, user_id, exchange, state)
               select gen_random_uuid(), user_id, 'okx', 'live' from accounts where id = %s returning id)
           update accounts set credential_id = (select id from fresh) where id = %s""",
        scene.account_id,
        scene.account_id,
    )
    if destroyed:
        await sweeping.rows("delete from credentials where id = %s", scene.credential_id)
    exp = datetime.now(UTC) + (-timedelta(seconds=1) if destroyed else SOON)
    async with sweeping.recording():
        await said(sweeping, scene.outcome(scene.grant(exp=exp)), "any")

        async def ended() -> bool:
            return await state(sweeping, scene.sync_id) == ("failed", "key_unknown")

        await until(ended)


@pytest.mark.parametrize("foreign", [False, True])
async def test_an_outcome_of_a_secret_that_was_given_up_is_recorded(
    sweeping: Sweeping, *, foreign: bool
) -> None:
    """It is destroyed at once, and a stand-in replaces it; another user's credential is foreign."""
    scene = await opened(sweeping)
    await sweeping.rows(
        """with stand_in as (insert into credentials (id, user_id, exchange, state)
               select gen_random_uuid(), user_id, 'okx', 'live' from accounts where id = %s returning id),
           paused as (
               insert into account_pauses
                   (account_id, credential_id, reason, rights, next_verify_at, destroyed_at)
               select %s, id, 'over_privileged_key', '["trade"]', now() + interval '1 h', now() from stand_in)
           update accounts set credential_id = (select id from stand_in) where id = %s""",
        *[scene.account_id] * 3,
    )
    await sweeping.rows("delete from credentials where id = %s", scene.credential_id)
    grant = scene.grant()
    if foreign:
        other = await opened(sweeping)
        grant = scene.grant(credential_id=other.credential_id)
    async with sweeping.recording():
        await said(sweeping, scene.outcome(grant), "any")

        async def handled() -> bool:
            return await state(sweeping, scene.sync_id) != ("queued", None) or await buried(sweeping)

        await until(handled)
    expected = ("queued", None) if foreign else ("failed", "over_privileged_key")
    assert await state(sweeping, scene.sync_id) == expected


@pytest.mark.parametrize("granted", [True, False])
async def test_an_honest_outcome_that_can_not_be_read_ends_its_sync(
    sweeping: Sweeping, *, granted: bool
) -> None:
    """It becomes a dead letter, and its user does not wait until the deadline."""
    scene = await opened(sweeping)
    body = scene.outcome(scene.grant() if granted else None, type="adjourned")
    async with sweeping.recording():
        await said(sweeping, body, "any")
        await until(lambda: buried(sweeping))

    assert await state(sweeping, scene.sync_id) == ("failed", Code.INTERNAL_ERROR)


async def test_a_settlement_of_the_gateway_carries_a_grant(sweeping: Sweeping) -> None:
    """A later version refuses outcomes without a grant, so the sweeper's outcomes have one."""
    (sync_id,) = await sweeping.opened(1, seconds=-7)
    await sweeping.sweeper().sweep()
    await until(sweeping.relayed)
    message = await sweeping.admin.jetstream().get_msg("SYNC_OUTCOMES", subject=SUBJECT)
    assert message.data is not None
    assert msgspec.json.decode(message.data)["grant"]
    async with sweeping.recording():

        async def ended() -> bool:
            return await state(sweeping, sync_id) == ("failed", Code.DEADLINE_EXCEEDED)

        await until(ended)
