"""Connections to the vault: kept and few, each response to its own request, and a trust that is read anew."""

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from deploy.local.certificates import make_authority
from deploy.local.ports import LOOPBACK
from tests.waiting import until
from vault_broker.connections import MAX_ANSWER, MAX_HEAD, BadHTTP, Connections

MOST = 4
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
UNREADABLE = [
    b"nonsense\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/2 200\r\nContent-Length: 0\r\n\r\n",
    OK + b"\r\n",
    OK + b"Content-Length: -1\r\n\r\n",
    OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    OK + b"Content-Length: 1\r\n\r\nxx",
    CHUNKED + b"0x1\r\nx\r\n0\r\n\r\n",
    CHUNKED + b"1\r\nxyz0\r\n\r\n",
    CHUNKED + b"%x\r\n" % (MAX_ANSWER + 1) + b"x" * (MAX_ANSWER + 1),
    OK + b"Content-Length: %d\r\n\r\n" % (MAX_ANSWER + 1) + b"x" * (MAX_ANSWER + 1),
    OK + b"X: " + b"x" * 2 * MAX_HEAD,
]


class Server:
    """A server that answers each request with its target; the target asks for bad manners."""

    def __init__(self) -> None:
        self.opened = 0
        self.open = 0
        self.port = 0
        self.held = 0
        self.holding = asyncio.Event()
        self.raw = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        self.opened += 1
        self.open += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                target = head.split(b" ")[1]
                if target == b"/held":
                    self.held += 1
                    await self.holding.wait()
                if target == b"/raw":
                    writer.write(self.raw)
                    continue
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(target), target))
                if target == b"/more":
                    await asyncio.sleep(0)
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nunasked")
                if target == b"/last":
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            writer.close()


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[tuple[Server, Connections]]:
    """Run a server, and yield it with connections to it; the authority is in `folder/ca.pem`."""
    authority = make_authority(folder / "authority", "server")
    shutil.copy(authority.certificate_path, folder / "ca.pem")
    identity = authority.issue([LOOPBACK])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(identity.certificate_path, identity.key_path)
    server = Server()
    async with await asyncio.start_server(server.serve, LOOPBACK, 0, ssl=context) as listener:
        server.port = listener.sockets[0].getsockname()[1]
        connections = Connections(f"https://{LOOPBACK}:{server.port}", str(folder / "ca.pem"), MOST)
        yield server, connections
        connections.close()


async def asked(connections: Connections, target: str) -> str:
    """Send a request and return the body of its response."""
    return (await connections.send("GET", target, {})).body.decode()


async def test_connections_are_kept_and_few(tmp_path: Path) -> None:
    """Requests one after the other share a connection, and many at once share the permitted number."""
    async with serving(tmp_path) as (server, connections):
        for number in range(5):
            assert await asked(connections, f"/{number}") == f"/{number}"
        assert server.opened == 1

        targets = [f"/{number}" for number in range(50)]
        assert await asyncio.gather(*(asked(connections, each) for each in targets)) == targets
        assert server.opened == MOST

        connections.close()

        async def all_closed() -> bool:
            return server.open == 0

        await until(all_closed)


@pytest.mark.parametrize("target", ["/last", "/more"])
async def test_a_connection_that_ended_or_said_more_is_replaced(tmp_path: Path, target: str) -> None:
    """The vault may close an idle connection, and no unasked response answers the next request."""
    async with serving(tmp_path) as (server, connections):
        assert await asked(connections, target) == target

        async def closed() -> bool:
            return server.open == 0

        await until(closed)
        assert await asked(connections, "/next") == "/next"
        assert server.opened == 2


async def test_a_cancelled_request_takes_its_connection_along(tmp_path: Path) -> None:
    """The late response to a cancelled request does not answer the next request."""
    async with serving(tmp_path) as (server, connections):
        for number in range(1, MOST + 2):  # each gives its place back
            request = asyncio.create_task(asked(connections, "/held"))

            async def held(number: int = number) -> bool:
                return server.held == number

            await until(held)
            request.cancel()
            await asyncio.wait({request})
        server.holding.set()

        assert await asked(connections, "/next") == "/next"
        assert server.opened == MOST + 2


async def test_a_new_connection_trusts_what_the_file_holds_then(tmp_path: Path) -> None:
    """A replaced authority needs no restart, and one that the file has lost is trusted no more."""
    async with serving(tmp_path) as (_, connections):
        assert await asked(connections, "/last") == "/last"
        other = make_authority(tmp_path / "other", "other").certificate_path.read_bytes()
        before = (tmp_path / "ca.pem").read_bytes()
        (tmp_path / "ca.pem").write_bytes(other)
        with pytest.raises(ssl.SSLError):
            await asked(connections, "/refused")

        (tmp_path / "ca.pem").write_bytes(other + before)
        assert await asked(connections, "/again") == "/again"


@pytest.mark.parametrize("raw", UNREADABLE, ids=range(len(UNREADABLE)))
async def test_a_response_that_can_be_read_in_two_ways_is_refused(tmp_path: Path, raw: bytes) -> None:
    """Another length than the sender's would take a part of one response for the next."""
    async with serving(tmp_path) as (server, connections):
        server.raw = raw
        with pytest.raises(BadHTTP):
            await asked(connections, "/raw")

        assert await asked(connections, "/next") == "/next"
        assert server.opened == 2


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (OK + b'Content-Length: 8\r\n\r\n{"a": 1}', True),
        (OK + b'Transfer-Encoding: chunked\r\n\r\n3;x=y\r\n{"a\r\n5\r\n": 1}\r\n0\r\n\r\n', True),
        (OK + b'Content-Length: 8\r\nConnection: keep-alive, Close\r\n\r\n{"a": 1}', False),
        (b'HTTP/1.0 200 OK\r\nContent-Length: 8\r\n\r\n{"a": 1}', False),
    ],
)
async def test_a_response_says_whether_its_connection_goes_on(
    tmp_path: Path, raw: bytes, *, kept: bool
) -> None:
    """No connection is used again that the vault closes."""
    async with serving(tmp_path) as (server, connections):
        server.raw = raw
        assert await asked(connections, "/raw") == '{"a": 1}'
        assert await asked(connections, "/next") == "/next"
        assert server.opened == (1 if kept else 2)


async def test_no_header_begins_another_line(tmp_path: Path) -> None:
    """A value with a line break would be a header, or a second request."""
    async with serving(tmp_path) as (server, connections):
        for target, headers in (("/a b\r\n", {}), ("/a", {"X-Vault-Token": "a\r\nX: b"})):
            with pytest.raises(BadHTTP):
                await connections.send("GET", target, headers)
        assert server.opened == 0
