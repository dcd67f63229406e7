"""The connection to the bus, with workarounds for gaps in nats-py and FastStream."""

import asyncio
import random
import re
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Self

import msgspec
import structlog
from faststream.nats import NatsBroker
from faststream.nats.message import NatsMessage
from faststream.nats.security import NatsNKey
from nats.aio.client import Client
from nats.errors import (
    BadHeaderError,
    BadSubjectError,
    ConnectionClosedError,
    Error,
    MaxPayloadError,
    NoRespondersError,
)
from nats.js.errors import BadRequestError

import chassis.bus.transport  # noqa: F401 - a failed handshake must end
from chassis import metrics, tracing
from chassis.bus.delivery import MESSAGE_ID
from chassis.bus.pull import Pull
from chassis.health import Check
from chassis.settings import Running
from contracts import subjects
from contracts.faults import Code, TransientError
from contracts.values import Secret
from contracts.wire.envelope import Malformed, Message, attributes, decode, encode

PUBLISH_TIMEOUT = 2.0
PUBLISH_TRIES = 5
UNSENT_DATA_TIMEOUT_MS = 6000
# Longer than a try of a sync and than any reply.
SHUTDOWN_GRACE = 25.0
REPLY_GRACE = 13.0
DRAIN_SECONDS = 5
CLOSE_SECONDS = REPLY_GRACE + DRAIN_SECONDS + PUBLISH_TIMEOUT
# A server with older rights does not answer a request; we ask it less often.
DENIED_SECONDS = 60.0
# Longer than one attempt to connect and its TLS handshake.
LEAVE_SECONDS = 12.0
# The client reports a refused subject in lower case.
REFUSED_QUESTION = re.compile(r'permissions violation for publish to "(\$js\.api\.[^"]+)"')

log = structlog.get_logger()


class BusUnavailable(TransientError):
    """The bus did not accept a message, or no service replied in time."""

    def __init__(self, detail: str, code: str = Code.INTERNAL_ERROR) -> None:
        super().__init__(code, detail)


class MessageRefused(BusUnavailable):
    """The stream refuses this message, and a retry cannot help; for example, the message is too large."""


class _Broker(NatsBroker):
    """FastStream's broker, changed not to raise inside the client's error callback.

    Otherwise the client would stop reconnecting for ever when the server refuses one login.
    """

    def _log_connection_broken(
        self, error_cb: Callable[[Exception], Awaitable[None]] | None = None
    ) -> Callable[[Exception], Awaitable[None]]:
        async def report(error: Exception) -> None:
            if error_cb is not None:
                await error_cb(error)

        return report


class Bus:
    """One service's connection: publish, request, and the pulls and subscribers declared before the start.

    Subscribers are declared on `broker`. `pulls` are the consumers of streams, which fetch no messages while
    one of `gates` is shut. `closed` is set when the connection is closed for good: the process must end.
    `url` is its server, or the servers of a cluster; when one is lost it connects to another.
    With `tls` it sends no data before the handshake; without it, it does not encrypt.
    `grace` are the seconds that handlers have to finish during shutdown.
    """

    def __init__(  # noqa: PLR0913 - address, identity and options
        self,
        service: str,
        role: str,
        url: str | Sequence[str],
        seed: Secret,
        *,
        grace: float = SHUTDOWN_GRACE,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.service = service
        self._grace = grace
        self.inbox_prefix = subjects.inbox_prefix(role)
        self.closed = asyncio.Event()
        self.pulls: list[Pull] = []
        self.gates: list[Callable[[], bool]] = []
        self._denied: dict[str, float] = {}
        self._pulling: list[asyncio.Task[None]] = []
        self._stopping = False
        self._reconnected = asyncio.Event()
        self.broker = _Broker(
            url,
            name=service,
            security=_security(seed, tls),
            inbox_prefix=self.inbox_prefix.removesuffix("."),
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
            connect_timeout=5,
            ping_interval=5,
            max_outstanding_pings=2,
            graceful_timeout=min(REPLY_GRACE, grace),
            drain_timeout=DRAIN_SECONDS,
            flush_timeout=PUBLISH_TIMEOUT,  # without it a flush would hang when the connection breaks
            error_cb=self._on_error,
            reconnected_cb=self._on_reconnected,
            closed_cb=self._on_closed,
            decoder=_undecoded,
            apply_types=False,
            logger=None,
        )

    @classmethod
    def of(cls, service: str, role: str, running: Running, grace: float = SHUTDOWN_GRACE) -> Self:
        """Return the connection that the settings of a service name."""
        return cls(service, role, running.nats_urls, running.nats_seed, grace=grace, tls=running.nats_tls)

    async def start(self) -> None:
        """Connect and start all declared subscribers and pulls; waits for the server without a timeout."""
        await self.broker.start()
        self._limit_unsent_data()
        self._pulling = [asyncio.create_task(pull.run(self.client)) for pull in self.pulls]

    async def run(self) -> None:
        """Connect and stay until stopped; raises BusUnavailable when the connection or a pull loop ends."""
        await self.start()
        closed = asyncio.create_task(self.closed.wait())
        try:
            ended, _ = await asyncio.wait({closed, *self._pulling}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            closed.cancel()
        if self._stopping:
            return
        cause = next((task.exception() for task in ended - {closed}), None)
        raise BusUnavailable(f"The connection to the bus is over ({type(cause).__name__}).") from cause

    async def end_pulls(self) -> None:
        """Stop fetching and let handlers finish; running handlers may still use the connection."""
        self._stopping = True
        for pull in self.pulls:
            pull.stop()
        if self._pulling:
            await asyncio.wait(self._pulling)
            await asyncio.gather(*(pull.end(self._grace) for pull in self.pulls))

    async def stop(self) -> None:
        """Stop fetching, let handlers finish, then drain and close, with a timeout if the server hangs."""
        await self.end_pulls()
        closing = asyncio.ensure_future(self.broker.stop())
        await asyncio.wait({closing}, timeout=min(CLOSE_SECONDS, self._grace / 2))
        if not closing.cancel() and (error := closing.exception()) is not None:
            log.warning("bus_not_drained", reason=type(error).__name__)

    async def leave(self) -> None:
        """Connect to another server of the list, if there is one that can be reached.

        nats-py's `force_reconnect` alone chooses any server, also the same one again.
        """
        here, servers = self.client.connected_url, self.client.servers
        others = [url.geturl() for url in servers if here is not None and url.netloc != here.netloc]
        if here is None or not others:
            return
        log.warning("bus_server_left", host=here.hostname, port=here.port)
        self._reconnected.clear()
        self.client.set_server_pool(others)
        try:
            await self.client.force_reconnect()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._reconnected.wait(), LEAVE_SECONDS)
        finally:
            with suppress(ConnectionClosedError):
                self.client.set_server_pool([url.geturl() for url in servers])

    @property
    def connected(self) -> bool:
        """Return whether the bus is connected."""
        return self.broker._connection is not None and self.client.is_connected

    async def ready(self) -> bool:
        """Return whether the bus is connected."""
        return self.connected

    def takes(self) -> bool:
        """Return whether pulls may fetch messages: every gate is open."""
        return all(is_open() for is_open in self.gates)

    def denies(self, subject: str) -> bool:
        """Return whether the server denied a request on this subject within the last minute."""
        denied_at = self._denied.get(subject.lower())
        return denied_at is not None and time.monotonic() - denied_at < DENIED_SECONDS

    def checks(self) -> dict[str, Check]:
        """Return a check for the connection, and one for each pulled consumer."""

        def pulled(pull: Pull) -> Check:
            async def check() -> bool:
                return await self.ready() and await pull.ready(self.client)

            return check

        return {"nats": self.ready, **{pull.name: pulled(pull) for pull in self.pulls}}

    @property
    def client(self) -> Client:
        """Return the client of the connection; raises BusUnavailable before the first connection."""
        if self.broker._connection is None:
            raise BusUnavailable("The bus is not connected yet.")
        client: Client = self.broker.connection
        return client

    async def publish(
        self, subject: str, stream: str, body: bytes, message_id: str, headers: dict[str, str]
    ) -> int:
        """Publish a message to a stream and return its sequence number.

        The server drops a second message with the same `message_id`. Raises BusUnavailable if the stream has
        not confirmed it after five tries.
        """
        trouble = ""
        with tracing.span(f"publish {stream}", tracing.Kind.PRODUCER, stream=stream):
            headers = {**headers, **tracing.headers()}
            for attempt in range(PUBLISH_TRIES):
                try:
                    return await self.publish_once(subject, stream, body, message_id, headers)
                except BusUnavailable as error:
                    trouble = str(error)
                await asyncio.sleep(0.1 * 2**attempt * random.uniform(0.8, 1.2))  # noqa: S311 - jitter, no secret
            raise BusUnavailable(trouble)

    async def publish_once(
        self, subject: str, stream: str, body: bytes, message_id: str, headers: dict[str, str]
    ) -> int:
        """Publish with a single try, for a caller that retries itself.

        Raises BusUnavailable, or MessageRefused if the fault is in this message.
        """
        refused: type[BusUnavailable] = BusUnavailable
        try:
            async with asyncio.timeout(PUBLISH_TIMEOUT + 1.0):  # sending may also wait for the connection
                jetstream = self.client.jetstream(timeout=PUBLISH_TIMEOUT)
                headers = {**headers, MESSAGE_ID: message_id}
                acknowledged = await jetstream.publish(subject, body, stream=stream, headers=headers)
        except (BadRequestError, MaxPayloadError, BadSubjectError, BadHeaderError) as error:
            refused, trouble = MessageRefused, str(error)
        except (Error, TimeoutError) as error:
            trouble = type(error).__name__
        else:
            return acknowledged.seq
        metrics.PUBLISH_FAILURES.labels(stream).inc()
        raise refused(f"The stream {stream} did not confirm a message ({trouble}).")

    async def announce(self, subject: str, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        """Send a message that may be lost."""
        with suppress(Error, BusUnavailable):
            await self.client.publish(subject, body, headers=headers)

    async def request(
        self,
        subject: str,
        message: msgspec.Struct,
        reply: type[Message] | Any,
        seconds: float,
        unanswered: Code,
    ) -> Message:
        """Send a request to another service and return its reply.

        Raises BusUnavailable with the code `unanswered` if no service listens, no reply comes in time, or the
        reply is unreadable.
        """
        with tracing.span(f"ask {subject}", tracing.Kind.CLIENT, subject=subject):
            headers = {**attributes(message, self.service), **tracing.headers()}
            try:
                answer = await self.client.request(subject, encode(message), timeout=seconds, headers=headers)
            except NoRespondersError:
                raise BusUnavailable("No service is there to answer.", unanswered) from None
            except (Error, AssertionError) as error:
                raise BusUnavailable(f"No answer came ({type(error).__name__}).", unanswered) from None
            try:
                decoded: Message = decode(answer.data, reply)
            except Malformed as error:
                raise BusUnavailable(f"The answer can not be read ({error}).", unanswered) from None
            return decoded

    def _limit_unsent_data(self) -> None:
        """Have the kernel close a connection whose peer acknowledges no data; nats-py would wait a minute."""
        writer = getattr(self.client._transport, "_io_writer", None)
        connection = writer.get_extra_info("socket") if writer is not None else None
        if connection is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNSENT_DATA_TIMEOUT_MS)

    async def _on_error(self, error: Exception) -> None:
        metrics.BUS_ERRORS.labels(type(error).__name__).inc()
        if refusal := REFUSED_QUESTION.search(str(error)):
            self._denied[refusal[1]] = time.monotonic()
        log.warning("bus_error", error=str(error)[:200])

    async def _on_reconnected(self) -> None:
        self._reconnected.set()
        self._limit_unsent_data()
        log.info("bus_reconnected")

    async def _on_closed(self) -> None:
        self.closed.set()


async def _undecoded(message: NatsMessage) -> NatsMessage:
    """Pass the message on undecoded, because FastStream's own decoding logs messages that it cannot read."""
    return message


def _security(seed: Secret, tls: ssl.SSLContext | None) -> NatsNKey:
    """Return the identity, with TLS first: else nats-py uses no TLS if the server does not ask for it."""
    secured = tls is not None
    return NatsNKey.from_seed(seed.reveal(), ssl_context=tls, use_ssl=secured, tls_handshake_first=secured)
