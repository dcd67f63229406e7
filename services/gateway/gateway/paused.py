"""What the API says of a paused account."""

from datetime import datetime
from http import HTTPStatus

import msgspec

from contracts.catalogue import EXCHANGES
from contracts.faults import CodeText, fault_of
from contracts.remedies import Situation
from gateway.errors import Problem
from gateway.rights import Finding
from gateway.store.pauses import Pause


class PausedView(msgspec.Struct, frozen=True):
    """Why the key of an account is not used, since when, and what ends that.

    `rights` are those that the key has too many; `secret_destroyed` says that only another key ends it.
    """

    reason: CodeText
    since: datetime
    rights: tuple[str, ...]
    secret_destroyed: bool
    next_action: str


def paused_view(pause: Pause | None, exchange: str) -> PausedView | None:
    """Show a pause; None where the account is not paused."""
    if pause is None:
        return None
    return PausedView(
        reason=pause.reason,
        since=pause.paused_at,
        rights=pause.rights,
        secret_destroyed=pause.destroyed_at is not None,
        next_action=_next_action(pause, EXCHANGES[exchange].name),
    )


def account_paused(pause: Pause, exchange: str) -> Problem:
    """Say that an account is paused, so that nothing is read of it, and what ends that."""
    view = paused_view(pause, exchange)
    assert view is not None  # noqa: S101 - there is a pause
    words = Finding(pause.reason, pause.rights).words
    return Problem(
        HTTPStatus.CONFLICT,
        "account_paused",
        f"This account is paused: its key is not used. {words} {view.next_action}",
        reason=view.reason,
        since=view.since.isoformat(),
        rights=view.rights,
        secret_destroyed=view.secret_destroyed,
    )


def _next_action(pause: Pause, exchange: str) -> str:
    if pause.destroyed_at is not None:
        return (
            "The secret of this key is destroyed here, because the exchange said twice that the key may do "
            f"more than read. Delete the key at {exchange}, make one with the Read permission only and "
            "submit that with PUT /credentials."
        )
    return fault_of(pause.reason).next_action(Situation.SYNC)
