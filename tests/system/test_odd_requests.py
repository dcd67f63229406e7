"""Odd addresses, heads and bodies: each is refused as its sender's fault, none as a server error."""

import asyncio

import pytest

from deploy.local.stack import Stack
from tests.system.raw import asked

HOST = b"Host: test\r\n"
HEAD = b"GET /healthz HTTP/1.1\r\n"
POST = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
END = b"\r\n"


def get(target: bytes) -> bytes:
    """Write a request for a target."""
    return b"GET " + target + b" HTTP/1.1\r\n" + HOST + END


@pytest.mark.parametrize(
    "name",
    [
        b"%00", b"a%00.css", b"n" * 300, b"n" * 5000, b"%2e%2e", b"..", b"%2e%2e%2fstart.js", b"..%2f..%2fx",
        b"%2fetc%2fpasswd", b"%ff", b"%zz", b"%0a", b"%7f", b"%C0%AE", b"a/b", b"a%5cb", b"CON", b"~root",
        b"swagger-ui.css%00", b"%E2%80%AE",
    ],
)  # fmt: skip
async def test_a_file_that_is_not_there_is_404(stack: Stack, name: bytes) -> None:
    """However its name is written, the gateway looks for no file."""
    answer = await asked(stack.ports["gateway"], get(b"/swagger-ui/files/" + name))

    assert (answer.status, answer.code) == (404, "not_found")


@pytest.mark.parametrize(
    "target",
    [
        b"/nowhere", b"/metrics", b"/%00", b"/a/%00/b", b"/%ff/%fe", b"/a/../b", b"/nowhere/%2e%2e/healthz",
        b"/swagger-ui/../healthz",
        b"//nowhere//here", b"/%2fhealthz/x", b"/a%0d%0ab/c", b"/\xc3\xa4/x",
        b"/" + b"a/" * 2000, b"http://test/nowhere/a",
    ],
)  # fmt: skip
async def test_an_address_without_a_route_is_404(stack: Stack, target: bytes) -> None:
    """No spelling of an address causes a server error."""
    answer = await asked(stack.ports["gateway"], get(target))

    assert (answer.status, answer.code) == (404, "not_found")


@pytest.mark.parametrize(
    "path",
    [b"/api/v1/me", b"//api/v1/me", b"/api//v1/me/", b"/%61pi/v1/me", b"http://a/api/v1/me", b"/api/v1/me?a"],
)
async def test_no_spelling_of_a_route_opens_it(stack: Stack, path: bytes) -> None:
    """Every spelling that finds the route also finds its guard."""
    assert (await asked(stack.ports["gateway"], get(path))).status == 401


@pytest.mark.parametrize(
    ("hosts", "status"),
    [
        (HOST, 200),
        (b"Host: [::1]:3000\r\n", 200),
        (b"Host: api.example.com:443\r\n", 200),
        (b"", 400),
        (HOST + HOST, 400),
        (HOST + b"Host: other\r\n", 400),
        (b"Host:\r\n", 400),
        (b"Host: a b\r\n", 400),
        (b"Host: a, b\r\n", 400),
        (b"Host: user@test\r\n", 400),
        (b"Host: test/path\r\n", 400),
        (b"Host: test:port\r\n", 400),
        (b"Host: \xe4\r\n", 400),
    ],
)
async def test_a_request_names_its_host_once(stack: Stack, hosts: bytes, status: int) -> None:
    """Two Host headers, a missing one or an invalid one are refused, in HTTP/1.0 as well."""
    answers = [
        await asked(stack.ports["gateway"], b"GET /healthz HTTP/" + version + b"\r\n" + hosts + END)
        for version in (b"1.1", b"1.0")
    ]

    assert [answer.status for answer in answers] == [status, status]
    if status == 400:
        assert answers[0].code == "invalid_input"
        assert answers[0].headers["content-type"] == "application/problem+json"
        assert answers[0].headers["connection"] == "close"


async def test_a_header_has_16_kib_at_most(stack: Stack) -> None:
    """One byte more, of name and value together, is 431; the whole head is limited in bytes and fields."""
    port = stack.ports["gateway"]
    for extra, status in [(0, 200), (1, 431)]:
        value = b"v" * (16 * 1024 - len(b"x-big") + extra)
        assert (await asked(port, HEAD + HOST + b"X-Big: " + value + END + END)).status == status
    many = b"".join(b"X-%d: %b\r\n" % (number, b"v" * 8000) for number in range(20))
    assert (await asked(port, HEAD + HOST + many + END)).status == 431
    fields = b"".join(b"X-%d: v\r\n" % number for number in range(200))
    assert (await asked(port, HEAD + HOST + fields + END)).status == 431


async def test_an_address_has_8_kib_at_most(stack: Stack) -> None:
    """A longer one is 414, in the path and in the query."""
    for target in (b"/" + b"a" * 9000, b"/healthz?" + b"a" * 9000, b"/" + b"a" * 70_000):
        assert (await asked(stack.ports["gateway"], get(target))).status == 414


@pytest.mark.parametrize("size", [b"-1", b"+1", b"zz", b"0x5", b"f" * 20, b"", b"1 1", b"5;" + b"e" * 20_000])
async def test_a_chunk_without_a_size_is_400(stack: Stack, size: bytes) -> None:
    """A body that cannot be read to its end is its sender's fault."""
    answer = await asked(stack.ports["gateway"], CHUNKED + size + b"\r\nabcde\r\n0\r\n\r\n")

    assert answer.status == 400


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: -1\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: 5, 6\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Transfer-Encoding: gzip\r\n",
        b"Transfer-Encoding: chunked, gzip\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"X-Control: a\x01b\r\n",
        b"X-Nul: a\x00b\r\n",
        b"X-Space : a\r\n",
        b" X-Folded: a\r\n",
        b": no name\r\n",
        b"no colon\r\n",
    ],
)
async def test_a_head_that_is_no_http_is_400(stack: Stack, fields: bytes) -> None:
    """The server refuses it before any of our code runs."""
    assert (await asked(stack.ports["gateway"], POST + fields + END)).status == 400


async def test_a_length_beside_chunks_does_not_count(stack: Stack) -> None:
    """With both the chunks count and the length is ignored: the next request begins where they end."""
    port = stack.ports["gateway"]
    both = POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"

    assert (await asked(port, both)).status == 400
    assert (await asked(port, both)).code == "invalid_input"


@pytest.mark.parametrize(
    ("request_line", "statuses"),
    [
        (b"OPTIONS * HTTP/1.1", {404}),
        (b"GET * HTTP/1.1", {404}),
        (b"CONNECT test:80 HTTP/1.1", {400, 404, 405}),
        (b"TRACE /healthz HTTP/1.1", {405}),
        (b"FOO /healthz HTTP/1.1", {405}),
        (b"get /healthz HTTP/1.1", {405}),
        (b"post /api/v1/auth/login HTTP/1.1", {405}),
        (b"M" * 300 + b" /healthz HTTP/1.1", {405}),
        (b"G@T /healthz HTTP/1.1", {400}),
        (b"GET /a b HTTP/1.1", {400}),
        (b"GET /a\tb HTTP/1.1", {400}),
        (b"GET /a\x01b HTTP/1.1", {400}),
        (b"GET /healthz HTTP/3.0", {400}),
        (b"GET healthz HTTP/1.1", {400, 404}),
        (b"GET /healthz", {400}),
        (b"PRI * HTTP/2.0", {0, 400}),
        (b"\x16\x03\x01\x02", {400}),
    ],
)
async def test_an_odd_request_line_is_refused(stack: Stack, request_line: bytes, statuses: set[int]) -> None:
    """Methods are known words and targets are addresses; other values cause no server error."""
    answer = await asked(stack.ports["gateway"], request_line + b"\r\n" + HOST + END)

    assert answer.status in statuses


async def test_a_client_that_waits_to_be_told_is_told(stack: Stack) -> None:
    """`Expect: 100-continue` gets the interim response, and another value is ignored."""
    port = stack.ports["gateway"]
    length = b"Content-Length: 2\r\n"
    assert (await asked(port, POST + length + b"Expect: 100-continue\r\n\r\n")).status == 100
    assert (await asked(port, POST + length + b"Expect: 200-ok\r\n\r\n{}")).status == 400


async def test_an_upgrade_is_not_taken_up(stack: Stack) -> None:
    """A request for WebSocket or HTTP/2 gets an HTTP/1.1 response."""
    websocket = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    cleartext = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
    answers = await asyncio.gather(
        *(
            asked(stack.ports["gateway"], HEAD + HOST + fields + END)
            for fields in (websocket + key, cleartext)
        )
    )

    assert [answer.status for answer in answers] == [200, 200]
