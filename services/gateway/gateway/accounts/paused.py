"""What the API says of a paused account, and of faults as their account stands now. Pure."""

from datetime import datetime
from http import HTTPStatus

import msgspec

from contracts.exchanges import EXCHANGES
from contracts.faults import FAULTS, Code, CodeText, fault_of
from contracts.remedies import Situation, Standing
from gateway.accounts.rights import Finding
from gateway.advice import Advice
from gateway.http.problems import Problem
from gateway.store.pauses import Pause, Stand


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
        f"{words} {view.next_action}",
        reason=view.reason,
        since=view.since.isoformat(),
        rights=view.rights,
        secret_destroyed=view.secret_destroyed,
    )


def next_action(code: CodeText | None, advice: Advice, stand: Stand) -> str | None:
    """Say what the user can do about the fault of a sync, as its account stands now; None without a fault."""
    if code is None:
        return None
    if stand.deleted:
        fault = FAULTS[Code.ACCOUNT_DELETED]
        return f"{fault.words} {fault.next_action(Situation.SYNC)}"
    if stand.pause is not None:
        return _next_action(stand.pause, advice.exchange.name)
    return advice.next_action(code)


def _next_action(pause: Pause, exchange: str) -> str:
    if pause.destroyed_at is not None:
        return (
            "The account is paused, and it has no key: we delete the secret, because the exchange said twice "
            f"that the key may do more than read. Delete the key at {exchange}, make one with the Read "
            "permission only and submit that with PUT /credentials."
        )
    return fault_of(pause.reason).next_action(Situation.SYNC, standing=Standing.PAUSED)
