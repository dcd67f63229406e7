"""HTTPS to an exchange: one request, sent exactly as it was signed, with bounds on time and size."""

import asyncio
import re
import ssl
from asyncio.sslproto import SSLProtocol
from base64 import b64encode
from collections.abc import Mapping
from functools import partial

import certifi
import httpx
import msgspec
from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientHttpProxyError,
    ClientSession,
    ConnectionTimeoutError,
    DummyCookieJar,
    TCPConnector,
)
from aiohttp.client_proto import ResponseHandler
from httpx_aiohttp import AiohttpTransport

from contracts.credentials import SignedRead
from contracts.values import Secret
from sync_worker.errors import ExchangeTimeout, ExchangeUnreachable, UnexpectedResponse
from sync_worker.settings import Proxy

CALL_SECONDS = 10.0
MAX_BODY_BYTES = 8 * 1024 * 1024
# 256 syncs with four reads each, and verifications beside them.
MAX_CONNECTIONS = 1280
# asyncio gives each TLS connection a buffer of 256 KiB and has no parameter for it. A TLS record is 16 KiB.
SSLProtocol.max_size = 32 * 1024
MAX_RETRY_AFTER = 3600
# A proxy is near.
PROXY_SECONDS = 4.0
PROXY_AUTHENTICATION = 407

# The library writes a URL anew; in this alphabet it changes nothing, and what was signed is what is sent.
TARGET = re.compile(r"(/[A-Za-z0-9_-]+)+(\?([A-Za-z0-9._,=&/-]|%2B)+)?", re.ASCII)
RETRY_AFTER = re.compile(r"[0-9]{1,6}", re.ASCII)
AGE = re.compile(r"[0-9]{1,10}", re.ASCII)
HEADERS = {
    "accept": "application/json",
    "accept-encoding": "identity",
    # aiohttp would send "close". Servers repeat it, and aiohttp then discards an answer with bytes behind it.
    "connection": "keep-alive",
    "user-agent": "crypto-pocket-butler",
}


class Answer(msgspec.Struct, frozen=True):
    """What came back; in seconds `retry_after` where the exchange said so, `age` where a cache did."""

    status: int
    body: bytes
    retry_after: float | None = None
    age: int | None = None


class OneAnswer(ResponseHandler):
    """A connection that carries one request and its answer.

    aiohttp gives what a connection receives to the request that waits on it, or to the next one. Bytes after
    an answer would so answer another request, perhaps another user's: no connection is used twice, and one
    that receives bytes before its request is sent breaks.
    """

    def data_received(self, data: bytes) -> None:
        """Take the bytes of the answer."""
        if self._parser is None:  # aiohttp sets it when it sends the request
            self.abort()
        else:
            super().data_received(data)

    def close(self) -> None:
        """Close at once: TLS would wait 30 s for a server's close_notify, and no limit counts the wait."""
        self.abort()


class Https:
    """Sends each request on a connection of its own, and keeps no cookies: users share no state here.

    Through a proxy each has a tunnel of its own (CONNECT), in which TLS reaches from here to the exchange.
    """

    def __init__(self, ca_file: str | None, proxy: Proxy | None = None) -> None:
        self._tls = ssl.create_default_context(cafile=ca_file or certifi.where())
        self._proxy = None if proxy is None else _proxy(proxy)
        # The transport is used without httpx's client around it, which would keep cookies and decompress.
        self._transport = AiohttpTransport(
            client=self._session, verify=self._tls, trust_env=False, proxy=self._proxy
        )

    async def send(self, origin: str, read: SignedRead, seconds: float) -> Answer:
        """Send a read and take the whole answer, in 10 s at most.

        Raises ExchangeTimeout, ExchangeUnreachable, and UnexpectedResponse for a redirect, a body that is
        compressed or too large, and what is no HTTP; ValueError for a target that would be changed.
        """
        if not TARGET.fullmatch(read.target) or not origin.startswith("https://"):
            raise ValueError("this target can not be sent as it is")
        bounds = {"timeout": {"connect": PROXY_SECONDS}} if self._proxy else {}
        request = httpx.Request(
            read.method,
            origin + read.target,
            headers=_sent(read.headers),
            content=read.content.encode(),
            extensions=bounds,
        )
        try:
            async with asyncio.timeout(min(seconds, CALL_SECONDS)):
                return await self._answer(request)
        except TimeoutError:
            raise ExchangeTimeout("The exchange did not send a whole answer in time.") from None
        except (httpx.TransportError, OSError) as error:
            raise ExchangeUnreachable(self._why_unreachable(error)) from None
        except ClientError:
            raise UnexpectedResponse("The answer is not valid HTTP.") from None

    async def close(self) -> None:
        """Cut off the requests that are under way."""
        await self._transport.aclose()

    def _why_unreachable(self, error: Exception) -> str:
        """Say whether the exchange or the proxy before it is away; the text of the error may hold a login."""
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
        connector = TCPConnector(ssl=self._tls, limit=MAX_CONNECTIONS, force_close=True)
        connector._factory = partial(_one_answer, loop=asyncio.get_running_loop())
        session = ClientSession(connector=connector, cookie_jar=DummyCookieJar(), trust_env=False)
        # aiohttp would send a read a second time when its connection breaks; the bus decides on retries.
        session._retry_connection = False
        return session

    async def _answer(self, request: httpx.Request) -> Answer:
        response = await self._transport.handle_async_request(request)
        try:
            if response.is_redirect or response.headers.get("content-encoding", "identity") != "identity":
                raise UnexpectedResponse("The answer is a redirect or compressed, and we asked for neither.")
            body = await _body(response)
        finally:
            await response.aclose()
        return Answer(response.status_code, body, _retry_after(response), _age(response))


def _is_of(error: BaseException | None, url: httpx.URL) -> bool:
    """Tell whether it is this server that could not be connected to."""
    port = url.port or (443 if url.scheme == "https" else 80)
    return isinstance(error, ClientConnectorError) and (error.host, error.port) == (url.host, port)


def _proxy(proxy: Proxy) -> httpx.Proxy:
    if proxy.login is None:
        return httpx.Proxy(proxy.url)
    basic = b64encode(proxy.login.reveal().encode()).decode()
    return httpx.Proxy(proxy.url, headers={"proxy-authorization": f"Basic {basic}"})


def _one_answer(*, loop: asyncio.AbstractEventLoop) -> ResponseHandler:
    return OneAnswer(loop)


async def _body(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise UnexpectedResponse(f"The answer is longer than {MAX_BODY_BYTES} bytes.")
    return bytes(body)


def _sent(headers: Mapping[str, Secret]) -> dict[bytes, bytes]:
    own = {name.encode(): value.encode() for name, value in HEADERS.items()}
    return own | {name.encode(): value.reveal().encode() for name, value in headers.items()}


def _retry_after(response: httpx.Response) -> float | None:
    """Read a Retry-After in seconds; one in the form of a date is left alone."""
    text = response.headers.get("retry-after", "")
    return float(min(int(text), MAX_RETRY_AFTER)) if RETRY_AFTER.fullmatch(text) else None


def _age(response: httpx.Response) -> int | None:
    """Read how many seconds ago the exchange gave an answer that a cache repeats."""
    text = response.headers.get("age", "")
    return int(text) if AGE.fullmatch(text) else None
