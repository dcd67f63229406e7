"""HTTPS to an exchange: one request, sent exactly as signed, with limits on time and size."""

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
# 256 syncs with four reads each, plus verifications.
MAX_CONNECTIONS = 1280
# asyncio allocates 256 KiB per TLS connection and has no parameter for it. A TLS record has at most 16 KiB.
SSLProtocol.max_size = 32 * 1024
MAX_RETRY_AFTER = 3600
# A proxy is close, so a short timeout is enough.
PROXY_SECONDS = 4.0
PROXY_AUTHENTICATION = 407

# The library re-encodes URLs. It does not change these characters, so it sends the target as signed.
TARGET = re.compile(r"(/[A-Za-z0-9_-]+)+(\?([A-Za-z0-9._,=&/-]|%2B)+)?", re.ASCII)
RETRY_AFTER = re.compile(r"[0-9]{1,6}", re.ASCII)
AGE = re.compile(r"[0-9]{1,10}", re.ASCII)
HEADERS = {
    "accept": "application/json",
    "accept-encoding": "identity",
    # aiohttp would send "close". Servers repeat it, and aiohttp then discards a response with trailing bytes.
    "connection": "keep-alive",
    "user-agent": "crypto-pocket-butler",
}


class Answer(msgspec.Struct, frozen=True):
    """A response; `retry_after` is the exchange's and `age` a cache's, in seconds, None if not sent."""

    status: int
    body: bytes
    retry_after: float | None = None
    age: int | None = None


class OneAnswer(ResponseHandler):
    """A connection for one request and its response.

    aiohttp passes received bytes to the waiting request, or to the next one. Bytes after a response could so
    answer another request, perhaps another user's. Therefore no connection is used twice, and a connection
    that receives bytes before its request is sent is aborted.
    """

    def data_received(self, data: bytes) -> None:
        """Receive bytes of the response; abort if the request was not sent yet."""
        if self._parser is None:  # aiohttp sets it when it sends the request
            self.abort()
        else:
            super().data_received(data)

    def close(self) -> None:
        """Close at once, because TLS would wait 30 s for the server's close_notify, outside our timeouts."""
        self.abort()


class Https:
    """Sends each request on its own connection and keeps no cookies, so that users share no state.

    Through a proxy each request has its own tunnel (CONNECT), with TLS from the worker to the exchange.
    """

    def __init__(self, ca_file: str | None, proxy: Proxy | None = None) -> None:
        self._tls = ssl.create_default_context(cafile=ca_file or certifi.where())
        self._proxy = None if proxy is None else _proxy(proxy)
        # Without httpx's client around the transport, because it would keep cookies and decompress.
        self._transport = AiohttpTransport(
            client=self._session, verify=self._tls, trust_env=False, proxy=self._proxy
        )

    async def send(self, origin: str, read: SignedRead, seconds: float) -> Answer:
        """Send a read and return the complete response, within 10 s.

        Raises ExchangeTimeout, ExchangeUnreachable, and UnexpectedResponse for a redirect, a body that is
        compressed or too large, and invalid HTTP; ValueError for a target that the library would change.
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
        connector = TCPConnector(ssl=self._tls, limit=MAX_CONNECTIONS, force_close=True)
        connector._factory = partial(_one_answer, loop=asyncio.get_running_loop())
        session = ClientSession(connector=connector, cookie_jar=DummyCookieJar(), trust_env=False)
        # aiohttp would send a read again when its connection breaks; only the bus decides on retries.
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
    """Return whether the connection to this server failed."""
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
    """Return the Retry-After in seconds; a date is ignored."""
    text = response.headers.get("retry-after", "")
    return float(min(int(text), MAX_RETRY_AFTER)) if RETRY_AFTER.fullmatch(text) else None


def _age(response: httpx.Response) -> int | None:
    """Return the age in seconds of a response from a cache."""
    text = response.headers.get("age", "")
    return int(text) if AGE.fullmatch(text) else None
