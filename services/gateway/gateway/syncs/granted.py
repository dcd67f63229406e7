"""The grants in outcomes: an outcome counts only for the sync of its grant."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from contracts.wire.envelope import Malformed
from contracts.wire.grants import Grant, GrantRefused, read_signed, sync_purpose
from contracts.wire.key_files import Verifier
from gateway.rows.pauses import Pause
from gateway.rows.syncs import Queued
from gateway.store import credentials, pauses
from gateway.store.pool import Connection

MAX_GRANT = 1024


class Forged(Malformed):
    """An outcome whose grant is not the gateway's grant for its sync, so it must not affect any sync."""


def granted(text: object, sync_id: UUID, key: Verifier) -> Grant | None:
    """Return the verified grant of a sync's outcome, None without a grant; raises Forged.

    Workers of the previous version send no grant; their outcomes count for one release. An expired grant is
    valid, because an outcome may wait for days.
    """
    if text is None:
        return None
    if not isinstance(text, str) or len(text) > MAX_GRANT:
        raise Forged("the grant of the outcome is not a grant")
    try:
        grant = read_signed(text, key)
    except GrantRefused as error:
        raise Forged(str(error)) from None
    if grant.purpose != sync_purpose(sync_id):
        raise Forged("the grant of the outcome is not for its sync")
    return grant


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
