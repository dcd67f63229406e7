"""The texts of the remedies, for each situation in which a user meets a fault.

Each text says what happened to the key and what to do now.
"""

from collections.abc import Mapping
from enum import StrEnum


class Situation(StrEnum):
    """The operation that failed: POST /accounts, PUT /credentials, or a sync of a connected account."""

    CONNECT = "connect"
    REPLACE = "replace"
    SYNC = "sync"


class Standing(StrEnum):
    """The state of an account: with a key in use, paused, paused without a key, or deleted."""

    ACTIVE = "active"
    PAUSED = "paused"
    KEYLESS = "keyless"
    DELETED = "deleted"


class Remedy(StrEnum):
    """The remedy: a corrected key, the same key, a change, another key, a wait, a look, a new connection."""

    CORRECT = "correct"
    SUBMIT = "submit"
    CHANGE = "change"
    OTHER_KEY = "other_key"
    WAIT = "wait"
    COMPARE = "compare"
    RECONNECT = "reconnect"


# The fate of a submitted key. The texts say "we delete", not "deleted", because the vault may be unavailable.
DELETED: Mapping[Situation, str] = {
    Situation.CONNECT: "No account was connected, and we delete this key.",
    Situation.REPLACE: "The old key stays in use as it was, and we delete the new one.",
}
NOT_STORED: Mapping[Situation, str] = {
    Situation.CONNECT: "No account was connected, and we did not store this key.",
    Situation.REPLACE: "The old key stays in use as it was, and we did not store the new one.",
}
# The same for a key that was to replace another one, by the state of the account.
_REPLACING: Mapping[Standing, str] = {
    Standing.ACTIVE: "The old key stays in use as it was, and we {did} the new {one}.",
    Standing.PAUSED: "The account stays paused: we do not use its old key, and we {did} the new {one}.",
    Standing.KEYLESS: "The account stays paused: it has no key, and we {did} the new {one}.",
    Standing.DELETED: "The account was deleted meanwhile, and we {did} this {key}.",
}
# The same with a key offer: we keep its key, which was born in the vault, and not the API key.
_OFFER_OPEN = "Your key offer stays open until it expires."
_OFFERED = f"No account was connected, and we do not keep this API key. {_OFFER_OPEN}"
_WITH_OFFER = " and the same `offer`"
# The request that submits the key again.
ROUTES: Mapping[Situation, str] = {
    Situation.CONNECT: "with POST /accounts",
    Situation.REPLACE: "with PUT /credentials",
    Situation.SYNC: "with PUT /credentials",
}
_KEPT = "we keep the key and the balances that were read before."
_SUBMITTED: Mapping[Remedy, str] = {
    Remedy.CORRECT: "{happened} {step} Submit a corrected key {route}.",
    Remedy.SUBMIT: "{happened} Submit the key again {route}.",
    Remedy.CHANGE: "{happened} {step} Then submit the key again {route}.",
    Remedy.OTHER_KEY: "{happened} {step} Submit that key {route}.",
    Remedy.WAIT: "{happened} {step} Submit the key again in a moment {route}. {lasting}",
    Remedy.COMPARE: "{happened} Submit the key again in a moment {route}. {lasting}",
    Remedy.RECONNECT: "We delete this key with the account. Submit it {route}.",
}
_SYNCED: Mapping[Remedy, str] = {
    Remedy.CORRECT: "{step} Submit a corrected key {route}; until then each sync uses the stored one again.",
    Remedy.SUBMIT: "Submit the key again {route}; until then a sync reads nothing.",
    Remedy.CHANGE: "{step} Then sync again: " + _KEPT,
    Remedy.OTHER_KEY: "The account is not paused now, and we use its key: sync again.",
    Remedy.WAIT: "{step} Sync again in a moment: " + _KEPT + " {lasting}",
    Remedy.COMPARE: "{step} We keep the key. {lasting}",
    Remedy.RECONNECT: "We delete its key and its balances. To sync it again, connect it with POST /accounts.",
}
_PAUSED = "The account is paused, and we do not sync with its key."
_WHILE_PAUSED: Mapping[Remedy, str] = {
    Remedy.OTHER_KEY: _PAUSED + " {step} Submit that key {route}. {lasting}",
    Remedy.CHANGE: _PAUSED
    + " {step} The pause then ends by itself within the hour. Or submit another key of "
    "the same account {route}.",
}
_WHILE_PAUSED_FOR_ELSE = _PAUSED + " Submit another key of the same account, which may only read, {route}."


def became(
    situation: Situation, standing: Standing = Standing.ACTIVE, *, stored: bool = True, offered: bool = False
) -> str:
    """Return the sentence on the fate of a submitted key and of the key it was to replace.

    `stored` says whether the key reached the vault, and `offered` that it came with a key offer, which stays
    open. The text of a sync is empty: no key was submitted.
    """
    if offered and situation is Situation.REPLACE:
        told = _REPLACING[standing].format(did="do not keep", one="API key", key="API key")
        return f"{told} {_OFFER_OPEN}"
    if situation is Situation.REPLACE:
        did = "delete" if stored else "did not store"
        return _REPLACING[standing].format(did=did, one="one", key="key")
    if offered and situation is Situation.CONNECT:
        return _OFFERED
    return (DELETED if stored else NOT_STORED).get(situation, "")


def route_of(situation: Situation, standing: Standing = Standing.ACTIVE, *, offered: bool = False) -> str:
    """Return the request that submits a key; a deleted account must be connected again."""
    gone = standing is Standing.DELETED
    return ROUTES[Situation.CONNECT if gone else situation] + (_WITH_OFFER if offered else "")


def written(  # noqa: PLR0913 - the parts of a text
    remedy: Remedy,
    situation: Situation,
    step: str,
    lasting: str,
    standing: Standing = Standing.ACTIVE,
    *,
    offered: bool = False,
) -> str:
    """Return the text on the fate of the key and the next action, for the state of the account."""
    at = Standing.DELETED if remedy is Remedy.RECONNECT else standing
    form = _form(remedy, situation, standing)
    if offered and remedy is Remedy.RECONNECT:
        form = "We do not keep this API key. {offer} Submit the key {route}."
    text = form.format(
        happened=became(situation, standing, offered=offered),
        step=step,
        route=route_of(situation, at, offered=offered),
        lasting=lasting,
        offer=_OFFER_OPEN,
    )
    return " ".join(text.split())


def _form(remedy: Remedy, situation: Situation, standing: Standing) -> str:
    if situation is not Situation.SYNC:
        return _SUBMITTED[remedy]
    if standing is Standing.ACTIVE:
        return _SYNCED[remedy]
    if standing is Standing.DELETED:
        return _SYNCED[Remedy.RECONNECT]
    return _WHILE_PAUSED.get(remedy, _WHILE_PAUSED_FOR_ELSE)
