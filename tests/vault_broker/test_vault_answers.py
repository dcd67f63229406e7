"""Any response of a server that is not a vault, or a broken one, ends in one clear failure."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from deploy.local.certificates import make_authority
from deploy.local.ports import LOOPBACK
from vault_broker.connections import MAX_ANSWER
from vault_broker.errors import Absent, Denied, Rejected, VaultUnavailable
from vault_broker.vault import Vault

Speaking = Callable[[bytes], AbstractAsyncContextManager[Vault]]


def answer(status: str, body: bytes, *headers: str) -> bytes:
    """Return an HTTP response."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@pytest.fixture(name="speaking")
def _speaking(tmp_path: Path) -> Speaking:
    """Return a vault's address where a server sends the given bytes to every request."""
    authority = make_authority(tmp_path, "strangers")
    server = authority.issue([LOOPBACK])
    trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trust.load_cert_chain(server.certificate_path, server.key_path)

    @asynccontextmanager
    async def speaking(words: bytes) -> AsyncIterator[Vault]:
        async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(words)
            writer.close()

        async with await asyncio.start_server(speak, LOOPBACK, 0, ssl=trust) as listener:
            port = listener.sockets[0].getsockname()[1]
            vault = Vault(f"https://{LOOPBACK}:{port}", str(authority.certificate_path))
            yield vault
            vault.close()

    return speaking


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"nonsense\r\n\r\n", id="not HTTP"),
        pytest.param(answer("200 OK", b"<html>"), id="not JSON"),
        pytest.param(answer("200 OK", b"[]"), id="no object"),
        pytest.param(answer("200 OK", b" " * (MAX_ANSWER + 1)), id="too long"),
        pytest.param(answer("200 OK", b"{}")[:-1], id="cut short"),
    ],
)
async def test_broken_answer_is_an_unavailable_vault(speaking: Speaking, words: bytes) -> None:
    """The broker neither uses nor repeats a malformed response."""
    async with speaking(words) as vault:
        with pytest.raises(VaultUnavailable) as raised:
            await vault.request("GET", "some/path")

    assert "html" not in str(raised.value)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (answer("307 Temporary Redirect", b"", "Location: https://127.0.0.1:1/"), VaultUnavailable),
        (answer("429 Too Many Requests", b"{}"), VaultUnavailable),
        (answer("473 Standby", b"{}"), VaultUnavailable),
        (answer("501 Not Implemented", b"{}"), VaultUnavailable),
        (answer("502 Bad Gateway", b"<html>"), VaultUnavailable),
        (answer("503 Service Unavailable", b'{"errors": ["Vault is sealed"]}'), VaultUnavailable),
        (answer("400 Bad Request", b'{"errors": ["no"]}'), Rejected),
        (answer("500 Internal Server Error", b"<html>"), Rejected),
        (answer("403 Forbidden", b'{"errors": ["no"]}'), Denied),
        (answer("404 Not Found", b'{"errors": []}'), Absent),
    ],
    ids=lambda value: value.split(b"\r\n")[0].decode() if isinstance(value, bytes) else value.__name__,
)
async def test_each_status_has_its_error(speaking: Speaking, words: bytes, error: type[Exception]) -> None:
    """Each status is one of our errors, which repeats no text of the server."""
    async with speaking(words) as vault:
        with pytest.raises(error) as raised:
            await vault.request("GET", "some/path")

    assert "html" not in str(raised.value)
    assert raised.value.__cause__ is None


async def test_no_content_is_an_empty_answer(speaking: Speaking) -> None:
    """A response without content confirms the request."""
    async with speaking(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n") as vault:
        assert await vault.request("DELETE", "some/path") == {}
