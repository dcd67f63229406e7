"""Messages as bytes, with CloudEvents 1.0 attributes in the headers (NATS binding, binary mode)."""

import re
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
from uuid_utils.compat import uuid7

from contracts.cards import event_type, schema_uri
from contracts.credentials import Fields
from contracts.values import decode_value, encode_value

JSON = "application/json"
DEADLINE_HEADER = "butler-deadline"
# The seconds left until the deadline at publication, by the clock that set the deadline.
SECONDS_LEFT_HEADER = "butler-seconds-left"

_ENCODER = msgspec.json.Encoder(enc_hook=encode_value)
_PATH = re.compile(r"at `([^`]{0,200})`")

Message = TypeVar("Message")


class Malformed(Exception):
    """The message is unreadable; the text names the path of the bad value, never its content."""


def encode(message: msgspec.Struct | Fields) -> bytes:
    """Encode a message, or the fields of a credential that are sealed next, as JSON."""
    return _ENCODER.encode(message)


def decode(raw: bytes, kind: type[Message] | Any) -> Message:
    """Decode a message; raises Malformed, whose text does not repeat the input."""
    try:
        message: Message = msgspec.json.decode(raw, type=kind, dec_hook=decode_value)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        place = _PATH.search(str(error))
        raise Malformed(f"malformed at {place[1]}" if place else "malformed message") from None
    return message


def attributes(
    message: msgspec.Struct, source: str, message_id: str | None = None, deadline: datetime | None = None
) -> dict[str, str]:
    """Return the CloudEvents attributes of a message, and its content type for readers without CloudEvents.

    Makes a new id if `message_id` is None. Raises KeyError for a message without a name.
    """
    headers = {
        "ce-specversion": "1.0",
        "ce-type": event_type(type(message)),
        "ce-source": f"/{source}",
        "ce-id": message_id or str(uuid7()),
        "ce-time": datetime.now(UTC).isoformat(),
        "ce-dataschema": schema_uri(type(message)),
        "ce-datacontenttype": JSON,
        "content-type": JSON,
    }
    if deadline is not None:
        headers[DEADLINE_HEADER] = deadline.isoformat()
    return headers
