"""The owners of the credentials that the grants of outcomes name."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from contracts.wire.grants import Grant
from gateway.rows.pauses import Pause
from gateway.rows.syncs import Queued
from gateway.store import credentials, pauses
from gateway.store.pool import Connection


async def granted_elsewhere(
    connection: Connection, asked: Sequence[tuple[Grant | None, Queued]]
) -> set[UUID]:
    """Return the syncs whose outcome has a grant for another exchange, or for a credential never theirs.

    A credential that was replaced meanwhile belongs to the same user. It may be destroyed, and so unknown, as
    soon as its grant has expired, or at once if its secret was destroyed and a stand-in replaced it.
    """
    granted = {sync.id: (grant, sync) for grant, sync in asked if grant is not None}
    elsewhere = {sync_id for sync_id, (grant, sync) in granted.items() if grant.exchange != sync.exchange}
    others = {
        sync_id: (grant, sync)
        for sync_id, (grant, sync) in granted.items()
        if sync.credential_id not in (None, grant.credential_id)
    }
    if others:
        ids = [grant.credential_id for grant, _ in others.values()]
        owners = await credentials.find_owners(connection, ids)
        paused = await pauses.find(connection, [sync.account_id for _, sync in others.values()])
        elsewhere |= {
            sync_id
            for sync_id, (grant, sync) in others.items()
            if not _was_of(grant, sync, owners, paused.get(sync.account_id))
        }
    return elsewhere


def _was_of(grant: Grant, sync: Queued, owners: Mapping[UUID, UUID], pause: Pause | None) -> bool:
    given_up = pause is not None and pause.destroyed_at is not None
    unknown = sync.user_id if given_up or grant.exp <= sync.now else None
    return owners.get(grant.credential_id, unknown) == sync.user_id
