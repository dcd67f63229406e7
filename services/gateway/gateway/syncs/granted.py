"""The grants that outcomes carry: an outcome counts for the sync that its grant is for, and for no other."""

from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from contracts.wire.envelope import Malformed
from contracts.wire.grants import Grant, GrantRefused, read_signed, sync_purpose

MAX_GRANT = 1024


class Forged(Malformed):
    """An outcome whose grant is not the gateway's for its sync: it has no power over any sync."""


def granted(text: object, sync_id: UUID, key: Ed25519PublicKey) -> Grant | None:
    """Give the grant that an outcome of a sync carries, None where it carries none; raises Forged.

    A worker of the version before sends none, and its outcomes count for one release. An outcome may wait for
    days: that the time of its grant is over says nothing.
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
