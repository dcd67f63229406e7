"""However a sync ends, brokers receive an event, so that they stop signing for its grants."""

from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import pytest

from chassis.bus.delivery import Delivery
from contracts import subjects
from contracts.faults import Code
from contracts.syncs import SyncFailed
from contracts.wire.key_files import SigningKeys
from gateway.accounts.broker import Broker
from gateway.accounts.credentials import Pinned
from gateway.accounts.delete import Deleting
from gateway.accounts.destroyer import Destroyer
from gateway.syncs.open import Terms
from gateway.syncs.outcomes import Outcomes
from gateway.syncs.record import end_unrecorded
from gateway.syncs.recorder import Recorder
from gateway.syncs.requests import Asking, Requests
from tests.gateway.allowing import allowing
from tests.gateway.conftest import announcing
from tests.gateway.syncs.sweeping.conftest import Sweeping
from tests.gateway.syncs.sweeping.test_forged_outcomes import Scene, opened, said
from tests.joining import joined
from tests.tapping import taken
from tests.waiting import until

TRADING = {"exchange_uid": "1", "permissions": ["trade"]}


def outcomes(sweeping: Sweeping) -> Outcomes:
    """Return the part of a gateway that ends syncs by outcomes and advisories."""
    announcer = announcing(sweeping.pool, sweeping.bus)
    keys = SigningKeys(sweeping.key)
    return Outcomes(sweeping.pool, announcer, sweeping.relay, Recorder(sweeping.pool, sweeping.relay), keys)


async def pause(sweeping: Sweeping, scene: Scene) -> None:
    """Pause the account of an open sync, as beside an older gateway that opened it."""
    await sweeping.rows(
        """insert into account_pauses (account_id, credential_id, reason, rights, next_verify_at)
           values (%s, %s, 'unknown_right', '[]', now() + interval '1 hour')""",
        scene.account_id,
        scene.credential_id,
    )


async def owner(sweeping: Sweeping, scene: Scene) -> UUID:
    """Return the user of a sync."""
    ((user_id,),) = await sweeping.rows("select user_id from syncs where id = %s", scene.sync_id)
    return UUID(str(user_id))


async def by_an_outcome(sweeping: Sweeping, scene: Scene) -> None:
    """Let a worker publish its outcome."""
    await said(sweeping, scene.outcome(scene.grant()), "outcome")


async def by_extra_rights(sweeping: Sweeping, scene: Scene) -> None:
    """Let a worker report that the key may trade, which pauses the account."""
    await said(sweeping, scene.outcome(scene.grant(), rights=TRADING), "outcome")


async def by_an_outcome_before(sweeping: Sweeping, scene: Scene) -> None:
    """Let a gateway record the outcome and die before it announces it; the outcome is redelivered."""
    failed = SyncFailed(scene.sync_id, scene.account_id, "okx", Code.KEY_UNKNOWN, "")
    assert await Recorder(sweeping.pool, sweeping.relay).record(failed) is not None
    await by_an_outcome(sweeping, scene)


async def by_an_unreadable_outcome(sweeping: Sweeping, scene: Scene) -> None:
    """Let an outcome become a dead letter."""
    await said(sweeping, scene.outcome(scene.grant(), type="adjourned"), "outcome")


async def by_a_burial_before(sweeping: Sweeping, scene: Scene) -> None:
    """Let a gateway end the sync of a dead letter and die before it announces it."""
    assert await end_unrecorded(sweeping.pool, scene.sync_id) is not None
    await by_an_unreadable_outcome(sweeping, scene)


async def by_the_deadline(sweeping: Sweeping, scene: Scene) -> None:
    """Let the sweeper settle it."""
    await sweeping.rows("update syncs set deadline = now() - interval '7 s' where id = %s", scene.sync_id)
    await sweeping.sweeper().sweep()


async def by_too_many_deliveries(sweeping: Sweeping, scene: Scene) -> None:
    """Let the server reach max-deliver for its request."""
    await sweeping.rows("update syncs set request_seq = 7 where id = %s", scene.sync_id)
    advisory = b'{"stream": "SYNC_REQUESTS", "stream_seq": 7}'
    await outcomes(sweeping).on_advisory(Delivery("$JS.EVENT", advisory, 1, {}))


async def by_the_deletion_of_its_account(sweeping: Sweeping, scene: Scene) -> None:
    """Let a user delete the account."""
    vault = Broker(sweeping.bus, Pinned(frozenset(), frozenset()), sweeping.key)
    destroyer = Destroyer(sweeping.pool, vault, 0)
    deleting = Deleting(sweeping.pool, sweeping.relay, destroyer, sweeping.key)
    await deleting.delete(await owner(sweeping, scene), scene.account_id)


async def by_a_pause(sweeping: Sweeping, scene: Scene) -> None:
    """Let a request for all accounts join the open sync of a paused one, which fails at once."""
    await pause(sweeping, scene)
    announcer = announcing(sweeping.pool, sweeping.bus)
    requests = Requests(sweeping.pool, sweeping.relay, announcer, Terms(sweeping.key, 120), allowing())
    await requests.all(Asking(await owner(sweeping, scene), None))


WAYS: tuple[Callable[[Sweeping, Scene], Awaitable[None]], ...] = (
    by_an_outcome,
    by_extra_rights,
    by_an_outcome_before,
    by_an_unreadable_outcome,
    by_a_burial_before,
    by_the_deadline,
    by_too_many_deliveries,
    by_the_deletion_of_its_account,
    by_a_pause,
)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_a_broker_hears_of_every_end(
    sweeping: Sweeping, way: Callable[[Sweeping, Scene], Awaitable[None]]
) -> None:
    """The end is announced after it is in the database, whatever its cause."""
    scene = await opened(sweeping)
    async with await joined(sweeping.nats, "vault-broker") as broker:
        heard = await broker.subscribe(subjects.recorded(scene.sync_id))
        await taken(broker)
        async with sweeping.recording():
            await way(sweeping, scene)
            message = await heard.next_msg(timeout=20)

    assert subjects.recorded_sync(message.subject) == scene.sync_id
    ((status,),) = await sweeping.rows("select status from syncs where id = %s", scene.sync_id)
    assert status == "failed"


async def test_an_outcome_that_ends_nothing_is_not_announced(sweeping: Sweeping) -> None:
    """A sync stays open, and brokers sign for it, despite a forged outcome."""
    scene = await opened(sweeping)
    forged = scene.outcome(scene.grant(credential_id=uuid4()))
    async with await joined(sweeping.nats, "vault-broker") as broker:
        heard = await broker.subscribe(subjects.RECORDED_ALL)
        await taken(broker)
        async with sweeping.recording():
            await said(sweeping, forged, "forged")
            await said(sweeping, forged | {"type": "adjourned"}, "unreadable, too")

            async def buried() -> bool:
                return (await sweeping.state("DEAD_LETTERS"))[0] == 2

            await until(buried)
        await taken(broker)
        assert heard.pending_msgs == 0
