"""Every message is a CloudEvent 1.0 in the headers of NATS, for programs that know nothing of this system."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from contracts.cards import NAMES, Kind
from contracts.wire.asyncapi import CONTRACTS, example
from contracts.wire.envelope import attributes, decode
from tests.contracts.foreign.reader import read_by

# What the NATS binding has a sender encode: space, double quote, percent, and all but printable ASCII.
PLAIN = re.compile(r"[!#$&-~]+", re.ASCII)


def sent(kind: Kind) -> dict[str, Any]:
    """Return the golden example of a message as it crosses the bus."""
    body = example(kind)
    message: Any = decode(body, kind)
    return {
        "headers": attributes(message, "gateway", "a:paused:2026-11-24T12:00:00+00:00"),
        "body": body.decode(),
    }


def test_every_message_fits_the_schema_of_cloudevents() -> None:
    """The CloudEvents SDK reads each by the NATS binding and its own JSON Schema."""
    messages = [sent(kind) for kind in NAMES]

    for kind, message, told in zip(NAMES, messages, read_by("cloudevents", messages), strict=True):
        assert told.get("read"), f"{kind.__name__}: {told}"
        assert told["read"]["type"] == f"io.pocketbutler.{NAMES[kind]}"
        assert told["read"]["data"] == json.loads(message["body"])


def test_the_reader_refuses_what_is_no_cloudevent() -> None:
    """The schema is really applied: without a source, and with a schema that is no URI, there is no event."""
    message = sent(next(iter(NAMES)))
    spoiled: list[dict[str, str]] = [{"ce-source": ""}, {"ce-dataschema": "1"}, {"ce-time": "noon"}]

    told = read_by("cloudevents", [{**message, "headers": message["headers"] | each} for each in spoiled])

    assert all("refused" in each for each in told), told


@pytest.mark.parametrize("kind", NAMES, ids=lambda kind: kind.__name__)
def test_a_message_names_its_type_and_its_schema(kind: Kind) -> None:
    """Attributes are headers with the prefix `ce-` in plain ASCII; the schema of that URI is checked in."""
    headers = sent(kind)["headers"]
    schema = json.loads((CONTRACTS / "schemas" / f"{kind.__name__}.json").read_text())

    assert re.fullmatch(r"io\.pocketbutler\.[a-z]+(\.[a-z]+)+\.v[1-9][0-9]*", headers["ce-type"])
    assert headers["ce-dataschema"] == schema["$id"]
    assert headers["ce-datacontenttype"] == headers["content-type"] == "application/json"
    assert datetime.fromisoformat(headers["ce-time"]).utcoffset() == datetime.now(UTC).utcoffset()
    assert all(PLAIN.fullmatch(value) for value in headers.values())


def test_no_two_messages_share_a_name() -> None:
    """A type stands for one message."""
    assert len(set(NAMES.values())) == len(NAMES)
