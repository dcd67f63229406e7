"""One request on one connection: unrequested bytes never answer a request."""

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit

import psutil
import pytest

from contracts.faults import Code, Failure
from contracts.values import Secret
from deploy.local.certificates import Authority
from sync_worker.exchanges.http import MAX_BODY_BYTES, Https
from tests.sync_worker.doubling import TWICE, Answers, Doubling, at_once, chunked, sized
from tests.sync_worker.scripted import BALANCE, FUNDING, TIME, ScriptedExchange, hang, raw, read_of, reset
from tests.waiting import until

CLOSING = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"


@pytest.mark.parametrize("double", TWICE.values(), ids=TWICE)
@pytest.mark.parametrize("target", [BALANCE, TIME])
async def test_a_second_answer_is_never_the_next_one(
    server: ScriptedExchange, https: Https, double: Doubling, target: str
) -> None:
    """Whenever it comes, the next request gets its own response, for the same user and for another."""
    answers = Answers(server, double)
    server.scripts[target] = server.scripts[FUNDING] = answers.script

    for number, key in enumerate((b"alice", b"alice-again", b"bob", b"alice"), start=1):
        next_target = target if number % 2 else FUNDING
        answer = await https.send(
            server.origin, read_of(next_target, {"OK-ACCESS-KEY": Secret(key.decode())}), 10
        )
        assert answer.body == key
        await until(answers.all_told(number))


OWN, FOREIGN = b'{"of":"alice"}', b'{"of":"bob"}'
OTHER = sized(FOREIGN)
INSIDE = {
    "where half of the body is missing": sized(OWN)[:-7] + OTHER + OWN[-7:],
    "where the body is announced too short": sized(OWN[:7]).replace(OWN[:7], OWN[:7] + OTHER + OWN[7:]),
    "where the next chunk should be": chunked(OWN)[:-5] + OTHER + chunked(OWN),
    "in a chunk": chunked(OWN + OTHER),
    "behind an answer that closes": CLOSING % len(OWN) + OWN + OTHER,
}


@pytest.mark.parametrize("answer", INSIDE.values(), ids=INSIDE)
async def test_an_answer_inside_a_body_answers_nothing(
    server: ScriptedExchange, https: Https, answer: bytes
) -> None:
    """A response inside another one is a broken body or a fault, and the next request gets its own."""
    server.scripts |= {BALANCE: raw(answer), FUNDING: raw(sized(OWN))}

    with suppress(Failure):
        assert (await https.send(server.origin, read_of(BALANCE), 10)).body != FOREIGN

    assert (await https.send(server.origin, read_of(FUNDING), 10)).body == OWN


async def test_an_answer_before_the_request_is_none(authority: Authority, https: Https) -> None:
    """A connection on which the server speaks first breaks, and the request is not sent on it."""
    server = ScriptedExchange(authority.issue(["127.0.0.1"]), greeting=sized(b'{"of":"bob"}'))
    async with server.listening():
        with pytest.raises(Failure) as caught:
            await https.send(server.origin, read_of(BALANCE), 10)

    assert caught.value.code is Code.EXCHANGE_UNREACHABLE
    assert server.heads == []


async def test_requests_at_the_same_time_have_connections_of_their_own(
    server: ScriptedExchange, https: Https
) -> None:
    """However many users request at once while each response comes twice, each gets the one for its key."""
    server.scripts[BALANCE] = Answers(server, at_once(sized)).script
    keys = [f"user-{number}" for number in range(64)]

    async def ask(key: str) -> bytes:
        return (await https.send(server.origin, read_of(BALANCE, {"OK-ACCESS-KEY": Secret(key)}), 10)).body

    bodies = await asyncio.gather(*map(ask, keys))

    assert bodies == [key.encode() for key in keys]


async def test_a_request_is_sent_once(server: ScriptedExchange, https: Https) -> None:
    """When the connection breaks, the same signature does not go out a second time."""
    server.scripts[BALANCE] = reset

    with pytest.raises(Failure) as caught:
        await https.send(server.origin, read_of(BALANCE), 10)

    assert caught.value.code is Code.EXCHANGE_UNREACHABLE
    assert server.targets() == [BALANCE]


async def test_a_server_that_does_not_close_holds_no_socket(server: ScriptedExchange, https: Https) -> None:
    """After the response the connection is gone, whatever the server does with its end."""
    port = urlsplit(server.origin).port

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(sized(b"{}"))
        await writer.drain()
        writer.transport.pause_reading()  # type: ignore[attr-defined] # does not see the client's close_notify
        await hang(writer)

    async def is_closed() -> bool:
        return all(tuple(each.raddr) != ("127.0.0.1", port) for each in psutil.Process().net_connections())

    server.scripts[BALANCE] = answer
    await https.send(server.origin, read_of(BALANCE), 10)

    await until(is_closed)


async def test_the_largest_body_is_taken_from_a_server_that_closes(
    server: ScriptedExchange, https: Https
) -> None:
    """A connection that closes directly after its response loses no byte of it."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(CLOSING % MAX_BODY_BYTES + b" " * MAX_BODY_BYTES)
        await writer.drain()
        writer.close()

    server.scripts[BALANCE] = answer

    assert len((await https.send(server.origin, read_of(BALANCE), 10)).body) == MAX_BODY_BYTES
