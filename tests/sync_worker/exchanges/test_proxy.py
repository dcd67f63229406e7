"""EXCHANGE_PROXY_URL: calls go through the proxy, which cannot read them; its password is not shown."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from contracts.faults import Code
from contracts.reasons import sentences_in
from contracts.values import Secret
from deploy.local.certificates import Authority, make_authority
from deploy.local.ports import LOOPBACK
from sync_worker.errors import ExchangeUnreachable, UnexpectedResponse
from sync_worker.exchanges.connections import Shared
from sync_worker.exchanges.http import Https
from sync_worker.settings import Proxy as ProxySetting
from sync_worker.settings import _proxy as read_setting
from tests.sync_worker.proxies import Proxy
from tests.sync_worker.scripted import ScriptedExchange, read_of, response
from tests.waiting import until

TARGET = "/api/v5/account/balance"
LOGIN, CANARY = "butler:canary-p@ss/word", "canary"
ENCODED = "butler:canary-p%40ss%2Fword"
HEADERS = {"OK-ACCESS-PASSPHRASE": Secret("passphrase-canary")}


@pytest.fixture(name="authority", scope="module")
def _authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"), "test")


@pytest_asyncio.fixture(name="server")
async def _server(authority: Authority) -> AsyncIterator[ScriptedExchange]:
    async with ScriptedExchange(authority.issue([LOOPBACK])).listening() as server:
        server.scripts[TARGET] = response(b'{"code":"0"}')
        yield server


@asynccontextmanager
async def through(authority: Authority, url: str) -> AsyncIterator[Https]:
    """Yield the worker's HTTPS with a proxy."""
    https = Https(str(authority.certificate_path), read_setting(url))
    try:
        yield https
    finally:
        await https.close()


@pytest.fixture(name="proxy", params=["http", "https"])
def _proxy(request: pytest.FixtureRequest, authority: Authority) -> Proxy:
    return Proxy(authority.issue([LOOPBACK]) if request.param == "https" else None, LOGIN)


async def test_two_reads_share_a_tunnel_and_the_exchange_sees_no_login(
    authority: Authority, server: ScriptedExchange, proxy: Proxy
) -> None:
    """The second request is sent as it was signed, too."""
    async with proxy.listening(), through(authority, f"{proxy.scheme}://{ENCODED}@{proxy.place}") as https:
        with Shared() as shared:
            for _ in range(2):
                await https.send(server.origin, read_of(TARGET, HEADERS), 8, shared)

            assert await shared.closed_by_server(5)
        assert (len(proxy.heads), server.connections) == (1, [[TARGET, TARGET]])
        assert not any(b"proxy" in head.lower() for head in server.heads)


async def test_an_exchange_that_speaks_first_is_refused_through_a_proxy(
    authority: Authority, proxy: Proxy
) -> None:
    """Its bytes come with the handshake, before the connection is given to the client."""
    greeting = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
    server = ScriptedExchange(authority.issue([LOOPBACK]), greeting)
    async with (
        server.listening(),
        proxy.listening(),
        through(authority, f"{proxy.scheme}://{ENCODED}@{proxy.place}") as https,
    ):
        with pytest.raises(ExchangeUnreachable):
            await https.send(server.origin, read_of(TARGET, HEADERS), 8)

    assert server.heads == []


async def test_a_call_goes_through_the_proxy_and_none_of_it_is_read_there(
    authority: Authority, server: ScriptedExchange, proxy: Proxy
) -> None:
    """Each has its own tunnel, in which TLS reaches from the worker to the exchange."""
    async with proxy.listening(), through(authority, f"{proxy.scheme}://{ENCODED}@{proxy.place}") as https:
        answers = await asyncio.gather(
            *(https.send(server.origin, read_of(TARGET, HEADERS), 8) for _ in range(8))
        )

        assert {answer.body for answer in answers} == {b'{"code":"0"}'}
        assert len(server.heads) == len(proxy.heads) == 8
        assert {head.split(b"\r\n")[0] for head in proxy.heads} == {
            f"CONNECT {server.origin.removeprefix('https://')} HTTP/1.1".encode()
        }
        assert b"passphrase-canary" not in proxy.passed + b"".join(proxy.heads)
        assert not any(b"proxy" in head.lower() for head in server.heads)

        async def closed() -> bool:
            return proxy.open == 0

        await until(closed)


@pytest.mark.parametrize("login", ["", "butler:canary-wrong@", "canary@"])
async def test_a_proxy_that_does_not_accept_the_login_says_so(
    authority: Authority, server: ScriptedExchange, proxy: Proxy, login: str
) -> None:
    """The words name the setting, and not the password."""
    async with proxy.listening(), through(authority, f"{proxy.scheme}://{login}{proxy.place}") as https:
        with pytest.raises(ExchangeUnreachable) as caught:
            await https.send(server.origin, read_of(TARGET, HEADERS), 8)

    assert caught.value.detail == "The proxy of EXCHANGE_PROXY_URL does not accept our user and password."
    assert CANARY not in repr(caught.value)
    assert server.heads == []


@pytest.mark.parametrize("status", [403, 502, 503, 301])
async def test_a_proxy_that_does_not_connect_says_so(
    authority: Authority, server: ScriptedExchange, proxy: Proxy, status: int
) -> None:
    """The proxy's response does not count as one of the exchange."""
    proxy.answer = f"HTTP/1.1 {status} No\r\ncontent-length: 12\r\n\r\n".encode() + b'{"code":"0"}'
    async with proxy.listening(), through(authority, f"{proxy.scheme}://{ENCODED}@{proxy.place}") as https:
        with pytest.raises(ExchangeUnreachable) as caught:
            await https.send(server.origin, read_of(TARGET, HEADERS), 8)

    assert caught.value.detail == f"The proxy of EXCHANGE_PROXY_URL refuses the connection (HTTP {status})."
    assert sentences_in(caught.value.detail) == caught.value.detail


@pytest.mark.parametrize("place", [f"{LOOPBACK}:1", "proxy.invalid:3128"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_is_away_makes_the_exchange_unreachable(
    authority: Authority, server: ScriptedExchange, scheme: str, place: str
) -> None:
    """The code is that of the exchange, and the words name the setting, without the password."""
    async with through(authority, f"{scheme}://{ENCODED}@{place}") as https:
        with pytest.raises(ExchangeUnreachable) as caught:
            await https.send(server.origin, read_of(TARGET, HEADERS), 8)

    error = caught.value
    assert (error.code, error.detail) == (
        Code.EXCHANGE_UNREACHABLE,
        "The proxy of EXCHANGE_PROXY_URL can not be reached.",
    )
    assert error.__cause__ is None
    assert sentences_in(error.detail) == error.detail
    assert server.heads == []


async def test_a_proxy_over_tls_with_a_foreign_certificate_gets_no_login(
    authority: Authority, server: ScriptedExchange, tmp_path: Path
) -> None:
    """A server that only pretends to be the proxy does not get the password."""
    foreign = make_authority(tmp_path, "foreign").issue([LOOPBACK])
    async with (
        Proxy(foreign).listening() as proxy,
        through(authority, f"https://{ENCODED}@{proxy.place}") as https,
    ):
        with pytest.raises(ExchangeUnreachable, match="can not be reached"):
            await https.send(server.origin, read_of(TARGET, HEADERS), 8)

        assert proxy.heads == []


async def test_a_proxy_that_plays_the_exchange_is_refused(
    authority: Authority, server: ScriptedExchange, tmp_path: Path, proxy: Proxy
) -> None:
    """TLS is with the exchange: a tunnel to a server with another certificate carries no request."""
    other = ScriptedExchange(make_authority(tmp_path, "foreign").issue([LOOPBACK]))
    url = f"{proxy.scheme}://{ENCODED}@"
    async with other.listening(), proxy.listening(), through(authority, url + proxy.place) as https:
        with pytest.raises(ExchangeUnreachable, match="The connection failed"):
            await https.send(other.origin, read_of(TARGET, HEADERS), 8)

    assert other.heads == []


async def test_bytes_behind_the_answer_of_the_proxy_are_no_answer_of_the_exchange(
    authority: Authority, server: ScriptedExchange, proxy: Proxy
) -> None:
    """Unrequested bytes of a proxy in the tunnel break it."""
    proxy.late = b'HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n{"code":"1"}'
    async with proxy.listening(), through(authority, f"{proxy.scheme}://{ENCODED}@{proxy.place}") as https:
        try:
            answer = await https.send(server.origin, read_of(TARGET, HEADERS), 8)
        except (ExchangeUnreachable, UnexpectedResponse):
            return
        assert answer.body == b'{"code":"0"}'


@pytest.mark.parametrize(
    ("url", "setting"),
    [
        ("http://proxy:3128", ProxySetting("http://proxy:3128")),
        ("https://[::1]:3129/", ProxySetting("https://[::1]:3129")),
    ],
)
def test_a_proxy_without_a_login_is_read(url: str, setting: ProxySetting) -> None:
    """The worker uses the address unchanged."""
    assert read_setting(url) == setting


def test_the_login_of_a_proxy_is_masked() -> None:
    """No repr contains it, neither of the setting nor of its users."""
    setting = read_setting(f"http://{ENCODED}@proxy:3128")

    assert setting.login is not None
    assert (setting.url, setting.login.reveal()) == ("http://proxy:3128", LOGIN)
    assert CANARY not in f"{setting} {Https(None, setting)._proxy!r}"
