"""The exporter of traces towards a collector that accepts connections and answers nothing."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from chassis import metrics, tracing
from chassis.otlp import EXPORT_SECONDS, MAX_QUEUE, exporting
from chassis.settings import Collector
from deploy.local.ports import LOOPBACK

NUMBER = 3 * MAX_QUEUE
THREAD_SECONDS = 10


@pytest.fixture(name="silent")
def _silent() -> Iterator[Collector]:
    """Listen without an answer."""
    with socket.create_server((LOOPBACK, 0)) as server:
        yield Collector(f"http://{LOOPBACK}:{server.getsockname()[1]}")


@pytest.fixture(autouse=True)
def _no_thread_left() -> Iterator[None]:
    """Fail where a thread goes on: its next random number would fail a test of hypothesis."""
    before = set(threading.enumerate())
    yield
    for left in set(threading.enumerate()) - before:
        left.join(THREAD_SECONDS)
        assert not left.is_alive(), left


def test_a_silent_collector_holds_up_neither_work_nor_shutdown(silent: Collector) -> None:
    """The exporter drops what its queue does not hold, and waits two seconds at the end."""
    ended = metrics.SPANS.labels("ended")._value.get()
    with exporting("tests", silent):
        began = time.process_time(), time.monotonic()
        for _ in range(NUMBER):
            with tracing.span("work", attempt=1):
                assert tracing.headers()
        used, took = time.process_time() - began[0], time.monotonic() - began[1]
        stopped = time.monotonic()
    shutdown = time.monotonic() - stopped

    assert metrics.SPANS.labels("ended")._value.get() - ended == NUMBER
    # On a busy machine the loop waits for its processor, but for nothing else.
    assert took < 10 * used
    assert shutdown < EXPORT_SECONDS
    assert tracing.headers() == {}
