"""The grants in outcomes: an outcome counts only for the sync of its grant."""

from uuid import UUID

from contracts.wire.envelope import Malformed
from contracts.wire.grants import Grant, GrantRefused, read_signed, sync_purpose
from contracts.wire.key_files import Verifier

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
