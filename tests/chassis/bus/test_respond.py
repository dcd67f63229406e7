"""A request always gets a reply, and only its sender gets it."""

from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio
from nats.aio.msg import Msg

from chassis.bus.connection import Bus, BusUnavailable
from chassis.bus.consume import listen
from chassis.bus.respond import respond
from contracts import subjects
from contracts.credentials import AskKeys, Destroyed, Keys, KeysReply, Refused
from contracts.faults import Code, PermanentError
from contracts.wire.envelope import Malformed, decode
from deploy.local.nats import Nats
from deploy.local.processes import Processes
from tests.chassis.bus.conftest import ROLES, NewBus, NewClient, connecting
from tests.chassis.bus.one_account import running_one_account
from tests.joining import bus_of
from tests.tapping import taken

ANSWERS: dict[bytes, Exception] = {
    b"malformed": Malformed("malformed at $.x"),
    b"refused": PermanentError(Code.CREDENTIAL_MISSING, "It is not there."),
    b"bug": RuntimeError("canary"),
}


async def answer(body: bytes) -> msgspec.Struct:
    """Reply as the test's body says."""
    if body in ANSWERS:
        raise ANSWERS[body]
    return Destroyed()


async def ignore(subject: str, body: bytes) -> None:
    """Accept an announcement."""


@pytest_asyncio.fixture(name="one", scope="module")
async def _one(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nats]:
    """Yield a bus with the configuration of the previous version."""
    directory = tmp_path_factory.mktemp("one-account")
    async with running_one_account(Processes(directory / "logs"), directory) as bus:
        yield bus


@pytest.fixture(name="server", params=["an account each", "one account"])
def _server(request: pytest.FixtureRequest, nats: Nats, one: Nats) -> Nats:
    return one if request.param == "one account" else nats


@pytest.fixture(name="new_bus")
def _new_bus(server: Nats) -> NewBus:
    return lambda user: bus_of(server, user, ROLES[user])


@pytest_asyncio.fixture(name="connect")
async def _connect(server: Nats) -> AsyncIterator[NewClient]:
    async with connecting(server) as connect:
        yield connect


@pytest_asyncio.fixture(name="broker", autouse=True)
async def _broker(new_bus: NewBus) -> AsyncIterator[Bus]:
    bus = new_bus("vault-broker")
    respond(bus, subjects.KEYS, "vault-broker", answer, 4)
    # The older server denies this right, which must affect nothing else.
    listen(bus, subjects.RECORDED_ALL, ignore)
    await bus.start()
    await taken(bus.client)
    yield bus
    await bus.stop()


@pytest.mark.parametrize(
    ("body", "code", "detail"),
    [
        (b"malformed", Code.INVALID_REQUEST, "malformed at $.x"),
        (b"refused", Code.CREDENTIAL_MISSING, "It is not there."),
        (b"bug", Code.INTERNAL_ERROR, ""),
    ],
)
async def test_whatever_goes_wrong_is_an_answer(
    connect: NewClient, body: bytes, code: Code, detail: str
) -> None:
    """A responder that raises replies with a refusal, which shows no part of an unexpected error."""
    asker, _ = await connect("gateway")

    reply: KeysReply = decode((await asker.request(subjects.KEYS, body, timeout=5)).data, KeysReply)

    assert reply == Refused(code, detail)


@pytest.mark.parametrize(
    "reply_to", ["butler.sync.scheduled.x", "_INBOX_worker.stolen", "butler.account.x.y.z", ""]
)
async def test_an_answer_goes_nowhere_but_to_the_callers_inbox(connect: NewClient, reply_to: str) -> None:
    """The server lets the broker reply anywhere; no listener of the streams' account receives the reply."""
    heard: set[str] = set()

    async def on_message(message: Msg) -> None:
        heard.add(message.subject)

    admin, _ = await connect("admin")
    asker, _ = await connect("gateway")
    await admin.subscribe(reply_to or "_R_.>", cb=on_message)
    await taken(admin)
    await asker.publish(subjects.KEYS, b"{}", reply=reply_to)
    for _ in range(8):  # more than the broker replies to at once
        await asker.request(subjects.KEYS, b"{}", timeout=5)

    await taken(admin)
    assert heard == set()


async def test_a_gateway_is_answered(new_bus: NewBus) -> None:
    """The sender's own inbox gets the reply."""
    bus = new_bus("gateway")
    await bus.start()

    reply: Destroyed = await bus.request(subjects.KEYS, AskKeys(), Destroyed, 5, Code.SIGNING_UNAVAILABLE)
    await bus.stop()

    assert reply == Destroyed()


async def test_an_answer_that_can_not_be_understood_is_none(new_bus: NewBus) -> None:
    """A newer broker may reply with unknown words, which the caller maps to its own error."""
    bus = new_bus("gateway")
    await bus.start()

    with pytest.raises(BusUnavailable) as caught:
        await bus.request(subjects.KEYS, AskKeys(), Keys, 5, Code.SIGNING_UNAVAILABLE)
    await bus.stop()

    assert caught.value.code == Code.SIGNING_UNAVAILABLE
