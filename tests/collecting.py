"""A collector of traces: a server for OTLP over HTTP that keeps the spans in memory."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Sent
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from deploy.local.ports import LOOPBACK, free_ports
from tests.waiting import until


@dataclass(frozen=True)
class Seen:
    """A span as the collector got it; ids are in hex, and `links` are pairs of trace and span."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    links: tuple[tuple[str, str], ...]
    facts: dict[str, str | int]
    failed: bool
    raw: bytes


class Collector:
    """The spans that came so far; while `hangs` is set it answers no request."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._runner: web.AppRunner | None = None
        self.url = f"http://{LOOPBACK}:{port}"
        self.spans: list[Seen] = []
        self.hangs = asyncio.Event()

    async def start(self) -> None:
        """Listen on its port."""
        application = web.Application()
        application.router.add_post("/v1/traces", self._receive)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, LOOPBACK, self._port).start()

    async def stop(self) -> None:
        """Stop listening, and close its connections."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _receive(self, request: web.Request) -> web.Response:
        """Keep the spans of a request."""
        body = await request.read()
        if self.hangs.is_set():
            await asyncio.Event().wait()
        for of_service in ExportTraceServiceRequest.FromString(body).resource_spans:
            told = {each.key: each.value.string_value for each in of_service.resource.attributes}
            for scope in of_service.scope_spans:
                self.spans += [_seen(told["service.name"], span) for span in scope.spans]
        return web.Response(
            body=ExportTraceServiceResponse().SerializeToString(), content_type="application/x-protobuf"
        )

    def found(self, *, name: str, **facts: str | int) -> list[Seen]:
        """Return the spans with a name and attributes, whose dots are written as two underscores."""
        wanted = {key.replace("__", "."): value for key, value in facts.items()}
        return [each for each in self.spans if each.name == name and wanted.items() <= each.facts.items()]

    async def until(self, come: Callable[[], bool]) -> None:
        """Wait for spans, which services send after a while."""

        async def has_come() -> bool:
            return come()

        await until(has_come)

    def trace(self, trace_id: str) -> dict[str, Seen]:
        """Return the spans of a trace by their ids."""
        return {each.span_id: each for each in self.spans if each.trace_id == trace_id}


def _seen(service: str, span: Sent) -> Seen:
    return Seen(
        service,
        span.name,
        Sent.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        {each.key: each.value.string_value or each.value.int_value for each in span.attributes},
        span.status.code == Status.STATUS_CODE_ERROR,
        span.SerializeToString(),
    )


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """Run a collector."""
    (port,) = free_ports(1)
    collector = Collector(port)
    await collector.start()
    try:
        yield collector
    finally:
        await collector.stop()
