"""Structured logs: one JSON object a line on standard error, with credentials masked by name."""

import logging
import sys

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from chassis import tracing
from chassis.settings import BadSetting

MASKED = frozenset(
    {
        "api_key",
        "api_secret",
        "authorization",
        "credentials",
        "headers",
        "passphrase",
        "password",
        "refresh_token",
        "access_token",
        "secret",
        "token",
    }
)
_NOISY = (
    "aiohttp",
    "asyncio",
    "faststream",
    "hvac",
    "httpcore",
    "httpx",
    "nats",
    "psycopg",
    "requests",
    "urllib3",
)


def mask(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask the values of fields that could hold a credential."""
    for name in MASKED & event.keys():
        event[name] = "***"
    return event


def without_locals(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace a traceback by the type of its exception: libraries may repeat their input in messages."""
    trouble = event.pop("exc_info", None)
    if trouble:
        error = trouble if isinstance(trouble, BaseException) else sys.exc_info()[1]
        if error is not None:
            event["exception"] = type(error).__name__
            event["at"] = _place(error)
    return event


def with_trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add the ids of the span in which the line is written."""
    place = tracing.here()
    if place is not None:
        event["trace_id"], event["span_id"] = place.trace_id, place.span_id
    return event


def _place(error: BaseException) -> str:
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return f"{last.tb_frame.f_code.co_qualname}:{last.tb_lineno}" if last else ""


def configure(service: str, level: str) -> None:
    """Send all logs of this process through one JSON formatter; raises BadSetting for an unknown level."""
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise BadSetting("LOG_LEVEL must be debug, info, warning or error")
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        lambda _logger, _method, event: {**event, "service": service},
        with_trace,
        without_locals,
        mask,
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(default=str),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=number, force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
