"""Two reads on one connection: the second response counts only if nothing else came."""

import asyncio
from contextlib import suppress

import pytest

from contracts.credentials import SignedRead
from contracts.faults import Failure
from contracts.values import Secret
from sync_worker.exchanges.connections import Shared
from sync_worker.exchanges.http import Https
from sync_worker.exchanges.signed import paired
from tests.sync_worker.doubling import TWICE, Answers, Doubling, sized
from tests.sync_worker.scripted import BALANCE, CONFIG, FUNDING, Script, ScriptedExchange, raw, read_of, reset

END_SECONDS = 5.0


def keyed(target: str, key: str) -> SignedRead:
    """Return a read with a key, which the server repeats in its response."""
    return read_of(target, {"OK-ACCESS-KEY": Secret(key)})


async def test_two_reads_share_a_connection_that_the_server_closes(
    server: ScriptedExchange, https: Https
) -> None:
    """The second request asks for the end of the connection, and counts when the server has ended it."""
    with Shared() as shared:
        await https.send(server.origin, read_of(BALANCE), 10, shared)
        await https.send(server.origin, read_of(FUNDING), 10, shared)

        assert shared.used_again
        assert await shared.closed_by_server(END_SECONDS)
    assert server.connections == [[BALANCE, FUNDING]]
    assert [b"connection: close" in head for head in server.heads] == [False, True]


@pytest.mark.parametrize("double", TWICE.values(), ids=TWICE)
async def test_a_second_response_to_the_first_read_never_counts_for_the_next(
    server: ScriptedExchange, https: Https, double: Doubling
) -> None:
    """The next read gets its own response on a new connection, or its response does not count."""
    server.scripts[BALANCE] = Answers(server, double).script
    server.scripts[FUNDING] = Answers(server, _once).script

    with Shared() as shared:
        first = await https.send(server.origin, keyed(BALANCE, "first"), 10, shared)
        body = await _body(https, server, shared)
        counts = not shared.used_again or await shared.closed_by_server(END_SECONDS)

    assert first.body == b"first"
    assert not counts or body == b"second"


@pytest.mark.parametrize("seconds", [0.0, 0.02])
async def test_more_than_the_second_response_does_not_count(
    server: ScriptedExchange, https: Https, seconds: float
) -> None:
    """Bytes behind the last response show that one of the responses was not asked for."""

    async def answer_more(writer: asyncio.StreamWriter) -> None:
        writer.write(sized(b"{}"))
        await asyncio.sleep(seconds)
        writer.write(b"H")

    server.scripts[FUNDING] = answer_more
    with Shared() as shared:
        await https.send(server.origin, read_of(BALANCE), 10, shared)
        with suppress(Failure):
            await https.send(server.origin, read_of(FUNDING), 10, shared)

        assert not await shared.closed_by_server(END_SECONDS)


async def test_a_response_of_a_server_that_does_not_close_does_not_count(
    server: ScriptedExchange, https: Https
) -> None:
    """A server that keeps the connection open could still send another response."""
    server.closes = False
    with Shared() as shared:
        await https.send(server.origin, read_of(BALANCE), 10, shared)
        await https.send(server.origin, read_of(FUNDING), 10, shared)

        assert not await shared.closed_by_server(0.2)


@pytest.mark.parametrize(
    "first", [reset, raw(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")]
)
async def test_after_a_connection_that_is_over_the_second_read_has_its_own(
    server: ScriptedExchange, https: Https, first: Script
) -> None:
    """A new connection proves its first response, and it asks for no end."""
    server.scripts[BALANCE] = first
    with Shared() as shared:
        with suppress(Failure):
            await https.send(server.origin, read_of(BALANCE), 10, shared)
        await https.send(server.origin, read_of(FUNDING), 10, shared)

        assert not shared.used_again
    assert server.connections == [[BALANCE], [FUNDING]]
    assert b"connection: keep-alive" in server.heads[-1]


def test_a_host_without_a_good_end_for_half_a_minute_is_read_alone_for_ten() -> None:
    """One good end begins the half minute anew, and other hosts still share."""
    now = 0.0
    https = Https(None, clock=lambda: now)
    for at, well in ((0.0, False), (29.0, False), (29.5, True), (30.0, False), (59.0, False)):
        now = at
        https.ended("https://one", well=well)
        assert https.shares("https://one")

    now = 60.0
    https.ended("https://one", well=False)

    assert (https.shares("https://one"), https.shares("https://other")) == (False, True)
    now = 660.0
    assert https.shares("https://one")


def test_reads_are_paired_across_the_halves_in_order() -> None:
    """Each read of the first half comes first on its connection; an odd one has its own."""
    reads = [SignedRead(name, "GET", BALANCE, {}) for name in "abcde"]

    assert [[read.name for read in pair] for pair in paired(reads, {reads[0].host})] == [
        ["a", "d"],
        ["b", "e"],
        ["c"],
    ]


ALIKE = SignedRead("page", "GET", BALANCE, {})
POST = SignedRead("other", "POST", CONFIG, {})


@pytest.mark.parametrize(
    ("reads", "hosts"),
    [
        ([ALIKE, ALIKE], {ALIKE.host}),
        ([ALIKE, POST], {ALIKE.host}),
        ([ALIKE, SignedRead("other", "GET", CONFIG, {}, host="second")], {ALIKE.host, "second"}),
        ([ALIKE, SignedRead("other", "GET", CONFIG, {})], set()),
    ],
    ids=["one endpoint", "a POST", "two hosts", "a host that does not close"],
)
def test_reads_that_can_not_share_have_connections_of_their_own(
    reads: list[SignedRead], hosts: set[str]
) -> None:
    """Lists of one endpoint look alike, a POST is not sent again, and another host is another connection."""
    assert paired(reads, hosts) == [(read,) for read in reads]


async def _once(writer: asyncio.StreamWriter, body: bytes) -> None:
    writer.write(sized(body))


async def _body(https: Https, server: ScriptedExchange, shared: Shared) -> bytes | None:
    try:
        return (await https.send(server.origin, keyed(FUNDING, "second"), 10, shared)).body
    except Failure:
        return None
