"""HTTPS to an exchange: one request, sent exactly as signed, with limits on time and size."""

import asyncio
import re
import ssl
import time
from asyncio.sslproto import SSLProtocol
from base64 import b64encode
from collections.abc import Callable, Mapping

import certifi
import httpx
import msgspec
import structlog
from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientHttpProxyError,
    ClientSession,
    ConnectionTimeoutError,
    DummyCookieJar,
)
from httpx_aiohttp import AiohttpTransport

from contracts.credentials import SignedRead
from contracts.values import Secret
from sync_worker.errors import ExchangeTimeout, ExchangeUnreachable, UnexpectedResponse
from sync_worker.exchanges.connections import SHARED, Connector, Shared
from sync_worker.settings import Proxy

CALL_SECONDS = 10.0
MAX_BODY_BYTES = 8 * 1024 * 1024
# 256 syncs with four reads at once, each on a connection of its own, plus verifications.
MAX_CONNECTIONS = 1280
# asyncio allocates 256 KiB per TLS connection and has no parameter for it. A TLS record has at most 16 KiB.
SSLProtocol.max_size = 32 * 1024
MAX_RETRY_AFTER = 3600
# A proxy is close, so a short timeout is enough.
PROXY_SECONDS = 4.0
PROXY_AUTHENTICATION = 407

# The library re-encodes URLs. It does not change these characters, so it sends the target as signed.
TARGET = re.compile(r"(/[A-Za-z0-9_-]+)+(\.xml)?(\?([A-Za-z0-9._,=&/-]|%2B)+)?", re.ASCII)
RETRY_AFTER = re.compile(r"[0-9]{1,6}", re.ASCII)
AGE = re.compile(r"[0-9]{1,10}", re.ASCII)
OWN_HEADERS = {
    b"accept": b"application/json",
    b"accept-encoding": b"identity",
    # aiohttp would send "close". Servers repeat it, and aiohttp then discards a response with trailing bytes.
    b"connection": b"keep-alive",
    b"user-agent": b"crypto-pocket-butler",
}
LAST = {b"connection": b"close"}
# A host that has sent more than was requested, or does not close a connection when asked, may get better.
BADLY_SECONDS, UNSHARED_SECONDS = 30.0, 600.0

log = structlog.get_logger()


class Answer(msgspec.Struct, frozen=True):
    """A response; `retry_after` is the exchange's and `age` a cache's, in seconds, None if not sent.

    The names of its headers match in any case.
    """

    status: int
    body: bytes
    retry_after: float | None = None
    age: int | None = None
    headers: Mapping[str, str] = {}


class Https:
    """Sends requests on connections that users do not share, and keeps no cookies.

    A request has a connection of its own, or shares one with another of the same credential. Through a proxy
    each connection is a tunnel (CONNECT), with TLS from the worker to the exchange.
    """

    def __init__(
        self, ca_file: str | None, proxy: Proxy | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tls = ssl.create_default_context(cafile=ca_file or certifi.where())
        self._proxy = None if proxy is None else _proxy(proxy)
        self._unshared_until: dict[str, float] = {}
        self._badly_since: dict[str, float] = {}
        self._clock = clock
        # Without httpx's client around the transport, because it would keep cookies and decompress.
        self._transport = AiohttpTransport(
            client=self._session, verify=self._tls, trust_env=False, proxy=self._proxy
        )

    async def send(
        self, origin: str, read: SignedRead, seconds: float, shared: Shared | None = None
    ) -> Answer:
        """Send a read on a new connection, or on a shared one; returns the complete response, within 10 s.

        Raises ExchangeTimeout, ExchangeUnreachable, and UnexpectedResponse for a redirect, a body that is
        compressed or too large, and invalid HTTP; ValueError for a target that the library would change.
        """
        if not TARGET.fullmatch(read.target) or not origin.startswith("https://"):
            raise ValueError("this target can not be sent as it is")
        bounds = {"timeout": {"connect": PROXY_SECONDS}} if self._proxy else {}
        request = httpx.Request(
            read.method,
            origin + read.target,
            headers=_sent(read.headers, last=shared is not None and shared.offer()),
            content=read.content.encode(),
            extensions=bounds,
        )
        try:
            async with asyncio.timeout(min(seconds, CALL_SECONDS)):
                return await self._answer(request, shared)
        except TimeoutError:
            raise ExchangeTimeout("The exchange did not send a whole answer in time.") from None
        except (httpx.TransportError, OSError) as error:
            raise ExchangeUnreachable(self._why_unreachable(error)) from None
        except ClientError:
            raise UnexpectedResponse("The answer is not valid HTTP.") from None

    def shares(self, origin: str) -> bool:
        """Return whether requests may share a connection to a host."""
        return self._clock() >= self._unshared_until.get(origin, 0.0)

    def ended(self, origin: str, *, well: bool) -> None:
        """Note how a shared connection to a host ended.

        If none ended as it should for 30 s, each request to this host has a connection of its own for ten
        minutes. A moment without good ends may only mean that this process or the host is busy.
        """
        if well:
            self._badly_since.pop(origin, None)
            return
        now = self._clock()
        if now - self._badly_since.setdefault(origin, now) >= BADLY_SECONDS:
            log.warning("connections_not_shared", origin=origin, seconds=UNSHARED_SECONDS)
            self._unshared_until[origin] = now + UNSHARED_SECONDS
            del self._badly_since[origin]

    async def close(self) -> None:
        """Abort running requests."""
        await self._transport.aclose()

    def _why_unreachable(self, error: Exception) -> str:
        """Return a text that says whether exchange or proxy failed; the error's own may hold a login."""
        cause = error.__cause__
        if self._proxy is not None:
            if isinstance(cause, ClientHttpProxyError):
                if cause.status == PROXY_AUTHENTICATION:
                    return "The proxy of EXCHANGE_PROXY_URL does not accept our user and password."
                return f"The proxy of EXCHANGE_PROXY_URL refuses the connection (HTTP {cause.status})."
            if _is_of(cause, self._proxy.url) or isinstance(cause, ConnectionTimeoutError):
                return "The proxy of EXCHANGE_PROXY_URL can not be reached."
        return f"The connection failed: {type(error).__name__}."

    def _session(self) -> ClientSession:
        connector = Connector(ssl=self._tls, limit=MAX_CONNECTIONS)
        session = ClientSession(connector=connector, cookie_jar=DummyCookieJar(), trust_env=False)
        # aiohttp would send a read again when its connection breaks; only the bus decides on retries.
        session._retry_connection = False
        return session

    async def _answer(self, request: httpx.Request, shared: Shared | None) -> Answer:
        token = SHARED.set(shared)
        try:
            response = await self._transport.handle_async_request(request)
        finally:
            SHARED.reset(token)
        try:
            if response.is_redirect or response.headers.get("content-encoding", "identity") != "identity":
                raise UnexpectedResponse("The answer is a redirect or compressed, and we asked for neither.")
            body = await _body(response)
        finally:
            await response.aclose()
        return Answer(response.status_code, body, _retry_after(response), _age(response), response.headers)


def _is_of(error: BaseException | None, url: httpx.URL) -> bool:
    """Return whether the connection to this server failed."""
    port = url.port or (443 if url.scheme == "https" else 80)
    return isinstance(error, ClientConnectorError) and (error.host, error.port) == (url.host, port)


def _proxy(proxy: Proxy) -> httpx.Proxy:
    if proxy.login is None:
        return httpx.Proxy(proxy.url)
    basic = b64encode(proxy.login.reveal().encode()).decode()
    return httpx.Proxy(proxy.url, headers={"proxy-authorization": f"Basic {basic}"})


async def _body(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise UnexpectedResponse(f"The answer is longer than {MAX_BODY_BYTES} bytes.")
    return bytes(body)


def _sent(headers: Mapping[str, Secret], *, last: bool) -> dict[bytes, bytes]:
    own = OWN_HEADERS | LAST if last else OWN_HEADERS
    return own | {name.encode(): value.reveal().encode() for name, value in headers.items()}


def _retry_after(response: httpx.Response) -> float | None:
    """Return the Retry-After in seconds; a date is ignored."""
    text = response.headers.get("retry-after", "")
    return float(min(int(text), MAX_RETRY_AFTER)) if RETRY_AFTER.fullmatch(text) else None


def _age(response: httpx.Response) -> int | None:
    """Return the age in seconds of a response from a cache."""
    text = response.headers.get("age", "")
    return int(text) if AGE.fullmatch(text) else None
