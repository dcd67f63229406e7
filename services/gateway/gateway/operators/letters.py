"""The rules of replaying: the dead letters that can be replayed, and the message of a replay. Pure."""

import re
from collections.abc import Mapping
from datetime import datetime

import msgspec

from contracts import streams, subjects
from contracts.exchanges import EXCHANGES

PREFIX = subjects.dead("")
REASON = "butler-reason"
CONTENT_TYPE = "content-type"
MAX_TEXT = 200
UNPRINTABLE = re.compile(r"[^ -~]")

# A letter's subject is what its sender wrote, and the gateway publishes with its own rights. So only these
# subjects have a way back: never an event, which subscribers would believe, nor the server's advisories.
STREAM_OF: Mapping[str, str] = {
    **{subjects.sync_requested(key): streams.SYNC_REQUESTS for key in EXCHANGES},
    **{subjects.sync_scheduled(key): streams.SYNC_REQUESTS for key in EXCHANGES},
    **{subjects.sync_completed(key): streams.SYNC_OUTCOMES for key in EXCHANGES},
    **{subjects.sync_failed(key): streams.SYNC_OUTCOMES for key in EXCHANGES},
}


class DeadLetter(msgspec.Struct, frozen=True):
    """A dead letter without its body, which may hold balances.

    `subject` is that of the message before it died; `reason` is why a service could not handle it. `type`,
    `source` and `message_id` are its CloudEvents attributes. `replayable` is true for requests and outcomes
    of syncs; others can only be dropped.
    """

    sequence: int
    subject: str
    reason: str
    stored_at: datetime
    size: int
    type: str | None
    source: str | None
    message_id: str | None
    replayable: bool


class Replay(msgspec.Struct, frozen=True):
    """A message to publish again; its id is new, because the stream drops the original one as a duplicate.

    The id is the same for each replay of one letter, so that the stream takes it once.
    """

    subject: str
    stream: str
    message_id: str
    headers: dict[str, str]


def described(
    sequence: int, subject: str, headers: Mapping[str, str], stored_at: datetime, size: int
) -> DeadLetter:
    """Describe a letter by its headers; texts are printable and bounded, because any service writes them."""
    original = subject.removeprefix(PREFIX)
    return DeadLetter(
        sequence=sequence,
        subject=_text(original) or "",
        reason=_text(headers.get(REASON)) or "",
        stored_at=stored_at,
        size=size,
        type=_text(headers.get("ce-type")),
        source=_text(headers.get("ce-source")),
        message_id=_text(headers.get("ce-id")),
        replayable=original in STREAM_OF,
    )


def replayed(sequence: int, subject: str, headers: Mapping[str, str], stored_at: datetime) -> Replay | None:
    """Return the message of a letter as it is published again; None if it has no way back.

    Its id begins with the original one, by which the gateway finds the sync of an unreadable outcome.
    """
    original = subject.removeprefix(PREFIX)
    if original not in STREAM_OF:
        return None
    kept = {name: value for name, value in headers.items() if name.startswith("ce-")}
    if "ce-datacontenttype" in kept:
        kept[CONTENT_TYPE] = kept["ce-datacontenttype"]
    mark = f"replay:{sequence}:{int(stored_at.timestamp() * 1000)}"
    return Replay(original, STREAM_OF[original], f"{kept.get('ce-id', 'unknown')}:{mark}", kept)


def _text(value: str | None) -> str | None:
    return None if value is None else UNPRINTABLE.sub("?", value)[:MAX_TEXT]
