"""The AsyncAPI 3.0 document of the bus, from cards and topology, and all other output of `make contracts`.

`python -m contracts.wire.asyncapi` writes `schemas/` and `asyncapi.json` beside the package, and adds missing
fields to the golden examples, which are written by hand.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
from nats.js.api import RetentionPolicy, StreamConfig

from contracts.cards import CARDS, NAMES, Card, Kind, event_type, schema_uri
from contracts.schemas import schema, schemas
from contracts.wire.bus_users import overlap
from contracts.wire.envelope import JSON, decode, encode
from contracts.wire.topology import STREAMS

CONTRACTS = Path(__file__).parents[2]
DOCUMENT = CONTRACTS / "asyncapi.json"
# The fields of a card that the document shows.
TOLD = ("version", "owner", "senders", "receivers", "delivery", "ordering")
PARAMETER = re.compile(r"\{(\w+)\}")
PARAMETERS = {
    "exchange": "The key of an exchange, for example `okx`.",
    "user_id": "The user whose account it is (`GET /api/v1/me` shows the id).",
    "sync_id": "The sync.",
    "group": "The name of an egress address, which workers behind it share (`EGRESS_GROUP`).",
    "subject": "The subject of the message, which may have several tokens.",
}
HEADERS = {
    "type": "object",
    "description": "Attributes of CloudEvents 1.0 in binary mode (NATS protocol binding).",
    "required": ["ce-specversion", "ce-type", "ce-source", "ce-id", "ce-time", "ce-dataschema"],
    "properties": {
        "ce-specversion": {"const": "1.0"},
        "ce-type": {"type": "string", "description": "The stable name of the message with its version."},
        "ce-source": {
            "type": "string",
            "format": "uri-reference",
            "description": "The service that sent it.",
        },
        "ce-id": {"type": "string", "minLength": 1, "description": "Unique for its source."},
        "ce-time": {"type": "string", "format": "date-time"},
        "ce-dataschema": {"type": "string", "format": "uri", "description": "The `$id` of its schema."},
        "ce-datacontenttype": {"const": JSON},
        "content-type": {"const": JSON},
        "traceparent": {
            "type": "string",
            "description": "The span that sent it (W3C Trace Context), where the services trace.",
        },
    },
}


def document() -> dict[str, Any]:
    """Describe every subject: channel, operation and messages, with its card as `x-card`."""
    project = tomllib.loads((CONTRACTS.parent / "pyproject.toml").read_text())["project"]
    return {
        "asyncapi": "3.0.0",
        "id": "urn:pocketbutler:bus",
        "info": {
            "title": "Crypto Pocket Butler: the bus",
            "version": project["version"],
            "description": (
                "Subscribers hear `butler.account.*`, and those of amounts `butler.portfolio.*`; all else is "
                "between the services."
            ),
        },
        "defaultContentType": JSON,
        "servers": {
            "bus": {
                "host": "{address}",
                "protocol": "nats",
                "description": "NATS with JetStream.",
                "variables": {"address": {"description": "Host and port.", "default": "127.0.0.1:4222"}},
                "security": [{"type": "asymmetricEncryption", "description": "The nkey seed of the user."}],
            }
        },
        "channels": {name: said for card in CARDS for name, said in _channels(card).items()},
        "operations": {f"send{_name(card)}": _operation(card) for card in CARDS},
        "components": {
            "messages": {kind.__name__: _message(kind) for kind in NAMES},
            "schemas": {"CloudEvent": HEADERS, **schemas(NAMES, "#/components/schemas/{name}")},
        },
    }


def described(card: Card) -> dict[str, Any]:
    """Return a card with the retention that the topology sets for its subject."""
    told = {name: getattr(card, name) for name in TOLD}
    return {**told, "retention": _retention(card)}


def example(kind: Kind) -> bytes:
    """Return the golden example of a message with every field; raises Malformed."""
    golden: msgspec.Struct = decode((CONTRACTS / "examples" / f"{kind.__name__}.json").read_bytes(), kind)
    return msgspec.json.format(encode(golden), indent=2) + b"\n"


def files() -> dict[str, bytes]:
    """Return the files that `make contracts` writes, by their paths under `contracts/`."""
    made = {f"examples/{kind.__name__}.json": example(kind) for kind in NAMES}
    made |= {f"schemas/{kind.__name__}.json": _pretty(_located(kind)) for kind in NAMES}
    return {**made, DOCUMENT.name: _pretty(document())}


def _located(kind: Kind) -> dict[str, Any]:
    """Return the schema of a message with the subjects to which it is sent, or to which it replies."""
    subjects = [card.subject for card in CARDS if kind in {card.message, *card.replies}]
    return {**schema(kind), "x-subjects": subjects}


def _retention(card: Card) -> dict[str, Any] | str:
    """Return the limits of the stream that stores a subject."""
    pattern = PARAMETER.sub("*", card.subject)
    stream = next((each for each in STREAMS for row in each.subjects or () if overlap(row, pattern)), None)
    return "The bus does not store it." if stream is None else _stream(stream)


def _stream(stream: StreamConfig) -> dict[str, Any]:
    said = {
        "stream": stream.name,
        "policy": stream.retention or RetentionPolicy.LIMITS,
        "discard": stream.discard,
        "max_age_seconds": stream.max_age,
        "max_bytes": stream.max_bytes,
        "max_messages_per_subject": stream.max_msgs_per_subject,
        "max_message_bytes": stream.max_msg_size,
        "duplicate_window_seconds": stream.duplicate_window,
    }
    return {key: value for key, value in said.items() if value not in {None, 0, -1}}


def _name(card: Card) -> str:
    """Return the name of a subject: AccountSynced for `butler.account.synced.{user_id}`."""
    return "".join(token.capitalize() for token in card.subject.split(".")[1:] if not PARAMETER.match(token))


def _channels(card: Card) -> dict[str, Any]:
    """Describe a subject, and the inbox for the replies to its requests."""
    name, parameters = _name(card), PARAMETER.findall(card.subject)
    messages = {card.message.__name__: _message_ref(card.message)} if card.message else {}
    channel = {"address": card.subject, "messages": messages, "x-card": described(card)}
    if parameters:
        channel["parameters"] = {each: {"description": PARAMETERS[each]} for each in parameters}
    if card.summary:
        channel["description"] = card.summary
    if not card.replies:
        return {name: channel}
    answers = {kind.__name__: _message_ref(kind) for kind in card.replies}
    inbox = {"address": None, "description": "The inbox of the caller.", "messages": answers}
    return {name: channel, f"{name}Reply": inbox}


def _operation(card: Card) -> dict[str, Any]:
    name = _name(card)
    said: dict[str, Any] = {
        "action": "send",
        "channel": {"$ref": f"#/channels/{name}"},
        "tags": [{"name": "public" if "subscribers" in card.receivers else "internal"}],
    }
    if card.replies:
        said["reply"] = {"channel": {"$ref": f"#/channels/{name}Reply"}}
    return said


def _message(kind: Kind) -> dict[str, Any]:
    own = {"ce-type": {"const": event_type(kind)}, "ce-dataschema": {"const": schema_uri(kind)}}
    return {
        "name": event_type(kind),
        "title": kind.__name__,
        "summary": (kind.__doc__ or "").partition("\n")[0],
        "contentType": JSON,
        "headers": {"allOf": [{"$ref": "#/components/schemas/CloudEvent"}, {"properties": own}]},
        "payload": {"$ref": f"#/components/schemas/{kind.__name__}"},
        "examples": [{"payload": msgspec.json.decode(example(kind))}],
    }


def _message_ref(kind: Kind) -> dict[str, str]:
    return {"$ref": f"#/components/messages/{kind.__name__}"}


def _pretty(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value, order="deterministic"), indent=2) + b"\n"


def main() -> None:
    """Write the files beside the package."""
    for path, content in files().items():
        (CONTRACTS / path).write_bytes(content)


if __name__ == "__main__":
    main()
