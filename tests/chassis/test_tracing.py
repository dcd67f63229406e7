"""Places in traces, and processes that trace nothing."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from chassis import tracing
from chassis.settings import BadSetting, Collector, collector
from chassis.tracing import Place, Start, place_of
from contracts.faults import Code, Failure, failure
from contracts.wire.asyncapi import DOCUMENT

PLACE = Place("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
HEADER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
MALFORMED = (
    *(
        "",
        "00",
        f"{HEADER}-",
        f"{HEADER}\n",
        f" {HEADER}",
        HEADER.upper(),
        f"ff{HEADER[2:]}",
        f"01{HEADER[2:]}",
    ),
    *(HEADER.replace("b7ad6b7169203331", "0" * 16), f"00-{'0' * 32}-b7ad6b7169203331-01"),
)
# Starts a service that ends at once; its exit code says whether the SDK was imported. FastStream imports an
# empty package beside it, `opentelemetry.semconv`.
STARTING = """
import sys, gateway.app, sync_worker.app, vault_broker.app
from chassis.serve import start
async def run(settings):
    sdk = ("opentelemetry.sdk", "opentelemetry.trace", "opentelemetry.exporter", "google.protobuf")
    return 3 if any(name.startswith(sdk) for name in sys.modules) else 4
sys.exit(start("gateway", {}, dict, run))
"""


class Kept:
    """A span that records its calls."""

    def __init__(self, start: Start) -> None:
        self.start = start
        self.place = Place(f"{id(self):032x}", f"{id(self):016x}")
        self.failure = ""
        self.ended = False

    def say(self, **facts: object) -> None:
        """Take attributes."""

    def rename(self, name: str) -> None:
        """Take a name."""

    def fail(self, code: str) -> None:
        """Keep the code."""
        self.failure = code

    def end(self) -> None:
        """Keep that it has ended."""
        self.ended = True


@pytest.fixture(name="begun")
def _begun() -> Iterator[list[Kept]]:
    """Trace this process, and yield the spans that began."""
    begun: list[Kept] = []

    def begin(start: Start) -> Kept:
        begun.append(Kept(start))
        return begun[-1]

    with tracing.begin_with(begin):
        yield begun


def test_a_place_is_what_its_header_says() -> None:
    """A header that is written is read as the same place, with its flag."""
    assert place_of(HEADER) == PLACE
    assert PLACE.header() == HEADER
    unsampled = Place(PLACE.trace_id, PLACE.span_id, sampled=False)
    assert place_of(f"{HEADER[:-1]}0") == unsampled
    assert unsampled.header() == f"{HEADER[:-1]}0"


@pytest.mark.parametrize("text", MALFORMED)
def test_a_malformed_header_is_no_place(text: str) -> None:
    """Any text that is not exactly of version 00 counts as no header."""
    assert place_of(text) is None
    assert tracing.sender({"traceparent": text}) is None


def test_the_document_of_the_bus_tells_of_the_header(begun: list[Kept]) -> None:
    """A reader in another language finds each header that a message has only where the services trace."""
    told = json.loads(DOCUMENT.read_text())["components"]["schemas"]["CloudEvent"]

    with tracing.span("work"):
        (name,) = tracing.headers()

    assert told["properties"][name]["type"] == "string"
    assert name not in told["required"]


def test_a_process_without_a_collector_traces_nothing() -> None:
    """A span changes nothing and no message gets a header, also inside of one."""
    with tracing.span("work", parent=PLACE, attempt=1) as span:
        span.say(count=1)
        span.fail("internal_error")
        assert (tracing.headers(), tracing.traceparent(), tracing.here()) == ({}, None, None)
    assert not tracing.is_on()


def test_a_service_without_a_collector_does_not_import_the_sdk() -> None:
    """Also not when it starts, with the code of all services."""
    assert subprocess.run([sys.executable, "-c", STARTING], timeout=60, check=False).returncode == 4


def test_a_link_begins_a_trace(begun: list[Kept]) -> None:
    """A span is a part of the one around it, or of a named one; one with a link is a part of none."""
    with tracing.span("outer", parent=PLACE), tracing.span("inner"), tracing.span("linked", link=PLACE):
        pass
    outer, inner, linked = (each.start for each in begun)

    assert (outer.parent, inner.parent, linked.parent) == (PLACE, begun[0].place, None)
    assert (outer.link, inner.link, linked.link) == (None, None, PLACE)
    assert tracing.here() is None


def test_a_failure_is_named_by_a_code_of_ours(begun: list[Kept]) -> None:
    """Neither the text of an exception nor a code that another program chose gets into a span."""
    foreign = Failure("text-of-another-program", "text")
    for error in (failure(Code.KEY_REJECTED, "text"), foreign, ValueError("text")):
        with pytest.raises(type(error)), tracing.span("work"):
            raise error

    assert [each.failure for each in begun] == ["key_rejected", "unknown", "ValueError"]
    assert all(each.ended for each in begun)


async def test_a_task_for_several_spans_is_in_none(begun: list[Kept]) -> None:
    """Its log lines and messages do not seem to belong to the one that started it."""

    async def here() -> Place | None:
        return tracing.here()

    with tracing.span("work"):
        assert await asyncio.create_task(here(), context=tracing.outside()) is None
        assert tracing.here() == begun[0].place


@pytest.mark.parametrize(
    "text",
    ["127.0.0.1:4318", "http://", "grpc://a:4317", "http://u:p@a", "http://a?b", "http://a:0", "http://a:x"],
)
def test_a_collector_has_an_address(text: str) -> None:
    """An address that can not be used ends the start, and a login in it is refused."""
    with pytest.raises(BadSetting, match="OTEL_EXPORTER_OTLP_ENDPOINT"):
        collector({"OTEL_EXPORTER_OTLP_ENDPOINT": text})


def test_an_unset_collector_is_none() -> None:
    """An empty variable counts as unset; a path is kept."""
    assert collector({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}) is None
    assert collector({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318/x/"}) == Collector("http://a:4318/x")
