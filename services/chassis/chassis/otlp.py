"""The exporter of traces: OpenTelemetry's SDK, sending by OTLP/HTTP from a thread of its own.

A service imports this module only if its settings name a collector.
"""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Unpack
from uuid import uuid4

import requests
import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)
from opentelemetry.trace import Span as OtelSpan

from chassis import metrics, tracing
from chassis.settings import Collector
from chassis.tracing import Facts, Place, Start

# A full queue drops spans; no service waits for the collector.
MAX_QUEUE = 2048
MAX_BATCH = 512
EXPORT_SECONDS = 5.0
FLUSH_SECONDS = 2.0
LONGEST_TEXT = 100
# The names of OpenTelemetry's semantic conventions where it has one.
NAMES = {
    "account_id": "butler.account.id",
    "attempt": "butler.attempt",
    "code": "error.type",
    "consumer": "messaging.consumer.group.name",
    "count": "butler.count",
    "exchange": "butler.exchange",
    "host": "server.address",
    "http_status": "http.response.status_code",
    "method": "http.request.method",
    "outcome": "butler.delivery.outcome",
    "read": "butler.read",
    "route": "http.route",
    "status": "butler.sync.status",
    "stream": "messaging.destination.name",
    "subject": "messaging.destination.name",
    "sync_id": "butler.sync.id",
}

log = structlog.get_logger()


@contextmanager
def exporting(service: str, collector: Collector) -> Iterator[None]:
    """Trace this process, and at the end send the last spans, in two seconds at most."""
    # The SDK logs each failure; `_Counted` counts them, and logs one line when they begin.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    provider = TracerProvider(
        resource=Resource.create({"service.name": service, "service.instance.id": uuid4().hex}),
        span_limits=SpanLimits(max_span_attribute_length=LONGEST_TEXT),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(_Ended())
    exporter = _Counted(_exporter(collector))
    batches = BatchSpanProcessor(
        exporter,
        max_queue_size=MAX_QUEUE,
        max_export_batch_size=MAX_BATCH,
        export_timeout_millis=EXPORT_SECONDS * 1000,
    )
    provider.add_span_processor(batches)
    try:
        with tracing.begin_with(partial(_begun, provider.get_tracer("butler"))):
            yield
    finally:
        # The SDK has no timeout for this that bounds a request in flight.
        flushing = threading.Thread(target=provider.shutdown, daemon=True)
        flushing.start()
        flushing.join(FLUSH_SECONDS)
        exporter.shutdown()


def _exporter(collector: Collector) -> OTLPSpanExporter:
    session = requests.Session()
    session.trust_env = False  # no proxy and no login of the environment
    return OTLPSpanExporter(
        endpoint=f"{collector.url}/v1/traces",
        certificate_file=collector.ca_file,
        timeout=EXPORT_SECONDS,
        session=session,
    )


def _begun(tracer: Tracer, start: Start) -> "_Span":
    """Begin a span; contexts are those of `chassis.tracing`, not OpenTelemetry's."""
    return _Span(
        tracer.start_span(
            start.name,
            context=_context(start.parent),
            kind=SpanKind[start.kind.name],
            attributes=_attributes(start.facts),
            links=[Link(_span_context(start.link))] if start.link else None,
        )
    )


class _Span:
    """A span of OpenTelemetry."""

    def __init__(self, span: OtelSpan) -> None:
        self._span = span
        context = span.get_span_context()
        self.place = Place(
            f"{context.trace_id:032x}", f"{context.span_id:016x}", bool(context.trace_flags & 1)
        )

    def say(self, **facts: Unpack[Facts]) -> None:
        """Add attributes."""
        self._span.set_attributes(_attributes(facts))

    def rename(self, name: str) -> None:
        """Replace the name."""
        self._span.update_name(name)

    def fail(self, code: str) -> None:
        """Mark the span as failed."""
        self._span.set_attribute(NAMES["code"], code)
        self._span.set_status(Status(StatusCode.ERROR))

    def end(self) -> None:
        """End the span, which puts it into the queue."""
        self._span.end()


def _attributes(facts: Facts) -> dict[str, str | int]:
    return {NAMES[name]: value if isinstance(value, int) else str(value) for name, value in facts.items()}


def _context(parent: Place | None) -> Context:
    return set_span_in_context(NonRecordingSpan(_span_context(parent)), Context()) if parent else Context()


def _span_context(place: Place) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if place.sampled else TraceFlags.DEFAULT)
    return SpanContext(int(place.trace_id, 16), int(place.span_id, 16), is_remote=True, trace_flags=flags)


class _Ended(SpanProcessor):
    """Counts the spans that ended: those neither sent nor failed are waiting or were dropped."""

    def on_end(self, span: ReadableSpan) -> None:
        """Count a sampled span."""
        if span.context is not None and span.context.trace_flags.sampled:
            metrics.SPANS.labels("ended").inc()


class _Counted(SpanExporter):
    """Counts the spans of the exporter, and logs when it begins to fail and when it recovers."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._failing = False
        self._ended = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch; one that fails is lost, and so is each after `shutdown`."""
        result = SpanExportResult.FAILURE if self._ended else self._exporter.export(spans)
        failed = result is not SpanExportResult.SUCCESS
        metrics.SPANS.labels("failed" if failed else "sent").inc(len(spans))
        if failed and not self._failing:
            log.warning("traces_not_sent", spans=len(spans))
        elif self._failing and not failed:
            log.info("traces_sent_again")
        self._failing = failed
        return result

    def shutdown(self) -> None:
        """Let the thread of the exports end with the request in flight."""
        self._ended = True
        self._exporter.shutdown()
