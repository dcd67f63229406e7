"""A service leaves a server at which JetStream is silent, soon at first and then ever more rarely."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from msgspec.structs import replace

from chassis.bus.connection import Bus
from chassis.bus.contact import MOST_PATIENCE_SECONDS, PATIENCE_SECONDS, SPREAD, Contact, Silence
from chassis.bus.inspection import answers
from contracts.wire.topology import OUTCOMES_CONSUMER
from deploy.local.nats import Nats
from deploy.local.ports import LOOPBACK, free_ports
from tests.chassis.bus.servers import serving
from tests.joining import bus_of
from tests.waiting import until

ASK_SECONDS = 1.0
TURNS = 6
BACK_SECONDS = 25.0


class Clock:
    """A monotonic clock that the test turns."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return its time."""
        return self.now


class Questions:
    """One question a second, at a clock of their own, of which none is answered."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.silence = Silence(lambda: self.now)

    def seconds_until_leaving(self) -> float:
        """Ask until the server is to be left; return how long that took."""
        began = self.now
        while not self.silence.lasts():
            self.now += ASK_SECONDS
        return self.now - began


def connection(server: Nats, user: str, *urls: str) -> Bus:
    """Return a connection as a user that knows these servers."""
    return bus_of(server, user, url=urls)


def port_of(bus: Bus) -> int | None:
    """Return the port of the server to which it is connected."""
    return bus.client.connected_url.port if bus.client.connected_url else None


def test_a_silent_server_is_left_ever_more_rarely() -> None:
    """After 15 s, then after twice the time before, up to five minutes: an outage makes no storm."""
    questions = Questions()
    for turn in range(2 * TURNS):
        pause = min(PATIENCE_SECONDS * 2**turn, MOST_PATIENCE_SECONDS)
        assert pause <= questions.seconds_until_leaving() <= pause * SPREAD + ASK_SECONDS

    questions.silence.end()

    assert questions.seconds_until_leaving() <= PATIENCE_SECONDS * SPREAD + ASK_SECONDS


def test_services_do_not_leave_at_the_same_time() -> None:
    """Each process waits for a time of its own."""
    assert len({Silence()._patience for _ in range(TURNS)}) == TURNS


def test_one_answer_ends_the_silence() -> None:
    """A server that answers now and then keeps its clients."""
    questions = Questions()
    for _ in range(TURNS):
        assert not questions.silence.lasts()
        questions.now += PATIENCE_SECONDS - 1
        assert not questions.silence.lasts()
        questions.silence.end()


async def test_a_server_that_is_left_is_not_chosen_again(tmp_path: Path) -> None:
    """The client goes to another one each time."""
    async with serving(tmp_path, ["", ""]) as servers:
        bus = connection(servers[0], "gateway", *(server.url for server in servers))
        await bus.start()
        for _ in range(TURNS):
            left = port_of(bus)
            await bus.leave()
            assert port_of(bus) not in {left, None}
        await bus.stop()


async def test_it_comes_back_when_no_other_server_can_be_reached(nats: Nats) -> None:
    """The server that it left stays on its list."""
    bus = connection(nats, "gateway", nats.url, f"nats://{LOOPBACK}:{free_ports(1)[0]}")
    await bus.start()

    await bus.leave()

    await until(bus.ready, BACK_SECONDS)
    assert port_of(bus) == urlsplit(nats.url).port
    assert len(bus.client.servers) == 2
    await bus.stop()


async def test_the_only_server_is_not_left(nats: Nats) -> None:
    """There is no other one to ask."""
    bus = connection(nats, "gateway", nats.url)
    await bus.start()

    await bus.leave()

    assert await bus.ready()
    assert bus.client.stats["reconnects"] == 0
    await bus.stop()


@pytest.mark.parametrize("name", [OUTCOMES_CONSUMER.name, "unknown"])
async def test_an_error_is_an_answer_too(nats: Nats, name: str) -> None:
    """JetStream says that it has no such consumer, so it is there; provisioning may come later."""
    bus = connection(nats, "admin", nats.url)
    await bus.start()

    assert await answers(bus, replace(OUTCOMES_CONSUMER, name=name)) is True
    await bus.stop()


async def test_a_silent_server_makes_the_service_not_ready_until_an_answer(tmp_path: Path) -> None:
    """The service leaves a server without JetStream after its patience, and only then says so."""
    async with serving(tmp_path, ["jetstream: disabled\n", "jetstream: disabled\n"]) as servers:
        bus = connection(servers[0], "gateway", *(server.url for server in servers))
        await bus.start()
        clock = Clock()
        contact = Contact(bus, OUTCOMES_CONSUMER, monotonic=clock)
        (check,) = contact.checks().values()

        await contact.look()
        assert await check()
        clock.now += PATIENCE_SECONDS * SPREAD
        here = port_of(bus)
        await contact.look()

        assert not await check()
        assert port_of(bus) not in {here, None}
        await bus.stop()


async def test_one_server_is_asked_nothing(nats: Nats) -> None:
    """However long it is silent, a service stays at its only server, and is ready."""
    bus = connection(nats, "gateway", nats.url)
    await bus.start()
    clock = Clock()
    contact = Contact(bus, monotonic=clock)  # a question about no consumer would fail
    await contact.look()
    clock.now += MOST_PATIENCE_SECONDS
    await contact.look()

    assert all([await check() for check in contact.checks().values()])
    await bus.stop()


async def test_a_denied_question_is_an_answer(nats: Nats) -> None:
    """A server with rights of an earlier release denies the question: it is there, and keeps its clients."""
    bus = connection(nats, "vault-broker", nats.url, f"nats://{LOOPBACK}:{free_ports(1)[0]}")
    await bus.start()
    clock = Clock()
    contact = Contact(bus, OUTCOMES_CONSUMER, monotonic=clock)  # that of the gateway
    for _ in range(TURNS):
        await contact.look()
        clock.now += PATIENCE_SECONDS * SPREAD

    assert all([await check() for check in contact.checks().values()])
    assert bus.client.stats["reconnects"] == 0
    await bus.stop()
