"""The HTTPS client at a socket: the bytes sent, and the accepted parts of a response."""

import gzip
import ssl
import time
from pathlib import Path

import pytest

from contracts.credentials import SignedRead
from contracts.exchanges.okx import OKX
from contracts.exchanges.types import Read
from contracts.faults import Code, Failure
from contracts.values import Secret
from sync_worker.exchanges.http import MAX_BODY_BYTES, Https
from tests.sync_worker.scripted import (
    Script,
    ScriptedExchange,
    cut,
    endless,
    hang,
    raw,
    read_of,
    reset,
    response,
    trickle,
)

TARGET = "/api/v5/account/balance"
EVERY_CHARACTER = "ABCXYZabcxyz0189._,-"


def all_targets() -> list[str]:
    """Return every target that can be signed, with and without a query of every allowed character."""
    reads = [
        Read(name, query)
        for name, endpoint in OKX.reads.items()
        for query in ({}, dict.fromkeys(sorted(endpoint.query_keys), EVERY_CHARACTER))
    ]
    return sorted({OKX.request(read).target for read in reads})


@pytest.mark.parametrize("target", all_targets())
async def test_the_target_is_sent_as_it_was_signed(
    server: ScriptedExchange, https: Https, target: str
) -> None:
    """The request line has the signed bytes, and the headers come with them unchanged."""
    server.scripts[target] = response(b"{}")

    await https.send(server.origin, read_of(target, {"OK-ACCESS-PASSPHRASE": Secret("a b+c=ü")}), 5)

    (head,) = server.heads
    assert head.startswith(f"GET {target} HTTP/1.1\r\n".encode())
    assert "OK-ACCESS-PASSPHRASE: a b+c=ü\r\n".encode().lower() in head.lower()


@pytest.mark.parametrize("target", ["/a", "/a?cursor=x&signature=a%2Bb/c%2B=="])
@pytest.mark.parametrize("content", ["", "nonce=7&unit=USD", '{"nonce":"7","signature":"a+b/c=="}'])
async def test_a_post_is_sent_as_it_was_signed(
    server: ScriptedExchange, https: Https, target: str, content: str
) -> None:
    """Body and target are the signed bytes, including a signature in base64."""
    server.scripts[target] = response(b"{}")
    body = Secret(content) if content else None
    headers = {"content-type": Secret("application/x-of-the-exchange")}

    await https.send(server.origin, SignedRead("read", "POST", target, headers, body=body), 5)

    (head,), (sent,) = server.heads, server.bodies
    assert head.startswith(f"POST {target} HTTP/1.1\r\n".encode())
    assert head.lower().count(b"content-type: application/x-of-the-exchange\r\n") == 1
    assert sent == content.encode()


@pytest.mark.parametrize("target", ["/a?ccy=BTC%2CETH", "/a?b=ü", "/a b", "//a", "/a/../b", "/a?b=\r\n", "a"])
async def test_a_target_that_would_be_changed_is_not_sent(https: Https, target: str) -> None:
    """The client refuses targets that the library would rewrite."""
    with pytest.raises(ValueError, match="can not be sent"):
        await https.send("https://127.0.0.1:1", read_of(target), 5)


async def test_only_https_is_spoken(https: Https) -> None:
    """The client sends no credential over a connection in clear."""
    with pytest.raises(ValueError, match="can not be sent"):
        await https.send("http://127.0.0.1:1", read_of(TARGET), 5)


async def test_a_foreign_certificate_is_refused(server: ScriptedExchange) -> None:
    """The client sends nothing to a server whose certificate the configured authority did not issue."""
    https = Https(None)

    with pytest.raises(Failure) as caught:
        await https.send(server.origin, read_of(TARGET), 5)

    await https.close()
    assert caught.value.code == Code.EXCHANGE_UNREACHABLE
    assert server.heads == []


TROUBLE = {
    "hang": (hang, Code.EXCHANGE_TIMEOUT),
    "a byte at a time": (trickle, Code.EXCHANGE_TIMEOUT),
    "reset": (reset, Code.EXCHANGE_UNREACHABLE),
    "cut off": (cut, Code.EXCHANGE_UNREACHABLE),
    "endless": (endless, Code.UNEXPECTED_RESPONSE),
    "announced too long": (response(b" " * (MAX_BODY_BYTES + 1)), Code.UNEXPECTED_RESPONSE),
    "redirect": (response(b"", "302 Found", "location: https://127.0.0.1:1/"), Code.UNEXPECTED_RESPONSE),
    "compressed": (
        response(gzip.compress(b"0" * 10**6), headers="content-encoding: gzip"),
        Code.UNEXPECTED_RESPONSE,
    ),
    "no HTTP": (raw(b"SSH-2.0-OpenSSH_9.9\r\n\r\n"), Code.UNEXPECTED_RESPONSE),
}


@pytest.mark.parametrize(("script", "code"), TROUBLE.values(), ids=TROUBLE)
async def test_trouble_is_a_typed_failure(
    server: ScriptedExchange, https: Https, script: Script, code: Code
) -> None:
    """Every failure of the other side ends in time, with a specific fault."""
    server.scripts[TARGET] = script
    started = time.monotonic()

    with pytest.raises(Failure) as caught:
        await https.send(server.origin, read_of(TARGET, {"OK-ACCESS-KEY": Secret("canary")}), 1.0)

    assert caught.value.code == code
    assert "canary" not in str(caught.value)
    assert time.monotonic() - started < 3


async def test_the_largest_body_is_taken(server: ScriptedExchange, https: Https) -> None:
    """The limit is 8 MiB, not one byte less."""
    server.scripts[TARGET] = response(b" " * MAX_BODY_BYTES)

    answer = await https.send(server.origin, read_of(TARGET), 10)

    assert len(answer.body) == MAX_BODY_BYTES


async def test_nobody_listening_is_unreachable(https: Https) -> None:
    """A refused connection is a fault that is retried."""
    with pytest.raises(Failure) as caught:
        await https.send("https://127.0.0.1:1", read_of(TARGET), 5)

    assert caught.value.code == Code.EXCHANGE_UNREACHABLE


async def test_no_cookie_is_kept(server: ScriptedExchange, https: Https) -> None:
    """A cookie for one user is not sent for another."""
    server.scripts[TARGET] = response(b"{}", headers="set-cookie: who=alice; Path=/; Secure")

    for _ in range(2):
        await https.send(server.origin, read_of(TARGET), 5)

    assert b"alice" not in b"".join(server.heads)


@pytest.mark.parametrize(
    ("text", "seconds"), [("7", 7.0), ("999999", 3600.0), ("-1", None), ("soon", None), ("1e9", None)]
)
async def test_retry_after_is_read_in_seconds(
    server: ScriptedExchange, https: Https, text: str, seconds: float | None
) -> None:
    """A wait that the exchange asks for is kept within bounds; other values are ignored."""
    server.scripts[TARGET] = response(b"{}", "429 Too Many Requests", f"retry-after: {text}")

    answer = await https.send(server.origin, read_of(TARGET), 5)

    assert (answer.status, answer.retry_after) == (429, seconds)


@pytest.mark.parametrize(
    ("headers", "age"),
    [
        ("x: y", None),
        ("age: 0", 0),
        ("age: 90000", 90000),
        ("age: -5", None),
        ("age: 1.5", None),
        ("age: soon", None),
        ("age: 99999999999", None),
        ("age: 5\r\nage: 7", None),
    ],
)
async def test_the_age_of_a_cached_answer_is_read_in_seconds(
    server: ScriptedExchange, https: Https, headers: str, age: int | None
) -> None:
    """A value that is not a whole number of seconds is ignored."""
    server.scripts[TARGET] = response(b"{}", headers=headers)

    assert (await https.send(server.origin, read_of(TARGET), 5)).age == age


def test_the_public_authorities_are_trusted_by_default() -> None:
    """Without a CA file certificates are checked, too."""
    tls = Https(None)._tls

    assert tls.verify_mode is ssl.CERT_REQUIRED
    assert tls.check_hostname
    assert len(tls.get_ca_certs()) > 50


def test_a_missing_authority_is_an_error() -> None:
    """A missing CA file does not disable the check."""
    with pytest.raises(OSError, match="No such file"):
        Https(str(Path("/nowhere/ca.pem")))
