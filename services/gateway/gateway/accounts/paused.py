"""Texts about paused accounts, and about faults in the present state of their account. Pure."""

from contracts.exchanges import EXCHANGES
from contracts.faults import FAULTS, Code, CodeText, fault_of
from contracts.remedies import Situation, Standing
from gateway.accounts.rights import Finding
from gateway.advice import Advice
from gateway.errors import AccountPaused
from gateway.rows.pauses import Pause, Stand


def account_paused(pause: Pause, exchange: str) -> AccountPaused:
    """Return the error for a paused account, with the reason and the action that ends the pause."""
    words = Finding(pause.reason, pause.rights).words
    return AccountPaused(
        f"{words} {way_out(pause, EXCHANGES[exchange].name)}",
        reason=pause.reason,
        since=pause.paused_at.isoformat(),
        rights=pause.rights,
        secret_destroyed=pause.destroyed_at is not None,
    )


def next_action(code: CodeText | None, advice: Advice, stand: Stand) -> str | None:
    """Return the next action for a sync's fault, for the account's present state; None without a fault."""
    if code is None:
        return None
    if stand.deleted:
        fault = FAULTS[Code.ACCOUNT_DELETED]
        return f"{fault.words} {fault.next_action(Situation.SYNC)}"
    if stand.pause is not None:
        return way_out(stand.pause, advice.exchange.name)
    return advice.next_action(code)


def way_out(pause: Pause, exchange: str) -> str:
    """Return the action that ends a pause; `exchange` is the exchange's display name."""
    if pause.destroyed_at is not None:
        return (
            "The account is paused, and it has no key: we delete the secret, because the exchange said twice "
            f"that the key may do more than read. Delete the key at {exchange}, make one with the Read "
            "permission only and submit that with PUT /credentials."
        )
    return fault_of(pause.reason).next_action(Situation.SYNC, standing=Standing.PAUSED)
