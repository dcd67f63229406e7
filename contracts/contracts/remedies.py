"""How faults are mended, in words that are true where they are met.

Each says what happened to the key, and what to do now.
"""

from collections.abc import Mapping
from enum import StrEnum


class Situation(StrEnum):
    """Where a fault is met: POST /accounts, PUT /credentials, or a sync of a connected account."""

    CONNECT = "connect"
    REPLACE = "replace"
    SYNC = "sync"


class Remedy(StrEnum):
    """What mends a fault: another key, the same key, a change, a key that may only read, time, a look."""

    CORRECT = "correct"
    SUBMIT = "submit"
    CHANGE = "change"
    OTHER_KEY = "other_key"
    WAIT = "wait"
    COMPARE = "compare"
    RECONNECT = "reconnect"


# What happened to a key that was submitted. The vault may be away: we delete, and do not say that it is done.
DELETED: Mapping[Situation, str] = {
    Situation.CONNECT: "No account was connected, and we delete this key.",
    Situation.REPLACE: "The old key stays in use as it was, and we delete the new one.",
}
NOT_STORED: Mapping[Situation, str] = {
    Situation.CONNECT: "No account was connected, and we did not store this key.",
    Situation.REPLACE: "The old key stays in use as it was, and we did not store the new one.",
}
# How it is submitted again.
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
    Remedy.OTHER_KEY: (
        "The account is paused, and we do not sync with its key. {step} Submit that key {route}. {lasting}"
    ),
    Remedy.WAIT: "{step} Sync again in a moment: " + _KEPT + " {lasting}",
    Remedy.COMPARE: "{step} We keep the key. {lasting}",
    Remedy.RECONNECT: "We delete its key and its balances. To sync it again, connect it with POST /accounts.",
}


def written(remedy: Remedy, situation: Situation, step: str, lasting: str) -> str:
    """Write what happened to the key and what to do now."""
    synced = situation is Situation.SYNC
    route = ROUTES[situation]
    if remedy is Remedy.RECONNECT:
        route = ROUTES[Situation.CONNECT]
    text = (_SYNCED if synced else _SUBMITTED)[remedy].format(
        happened=DELETED.get(situation, ""), step=step, route=route, lasting=lasting
    )
    return " ".join(text.split())
