"""A request always gets an answer, and only its asker gets it."""

import asyncio
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest
import pytest_asyncio
from nats.aio.client import Client

from contracts import subjects
from contracts.bus.connect import Bus, BusUnavailable
from contracts.bus.envelope import Malformed, decode
from contracts.bus.replies import respond
from contracts.faults import Code, PermanentError
from contracts.vault import AskKeys, Destroyed, Keys, KeysReply, Refused

ANSWERS: dict[bytes, Exception] = {
    b"malformed": Malformed("malformed at $.x"),
    b"refused": PermanentError(Code.CREDENTIAL_MISSING, "It is not there."),
    b"bug": RuntimeError("canary"),
}


async def answer(body: bytes) -> msgspec.Struct:
    """Answer as the test's body says."""
    if body in ANSWERS:
        raise ANSWERS[body]
    return Destroyed()


@pytest_asyncio.fixture(name="broker", autouse=True)
async def _broker(new_bus: Callable[[str], Bus]) -> AsyncIterator[Bus]:
    bus = new_bus("vault-broker")
    respond(bus, subjects.KEYS, "vault-broker", answer, 4)
    await bus.start()
    await bus.client.flush()
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
async def test_whatever_goes_wrong_is_an_answer(admin: Client, body: bytes, code: Code, detail: str) -> None:
    """A responder that raises answers with a refusal, which shows nothing of an unexpected error."""
    inbox = "_INBOX_gateway.test"
    answers = await admin.subscribe(inbox)
    await admin.publish(subjects.KEYS, body, reply=inbox)

    reply: KeysReply = decode((await answers.next_msg(timeout=5)).data, KeysReply)

    assert reply == Refused(code, detail)


@pytest.mark.parametrize(
    "reply_to", ["butler.dead.forged", "_INBOX_worker.stolen", "butler.account.synced.x", ""]
)
async def test_an_answer_goes_nowhere_but_to_the_callers_inbox(admin: Client, reply_to: str) -> None:
    """The server lets the broker answer anywhere; the broker does not."""
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def on_message(message: object) -> None:
        await heard.put(str(getattr(message, "subject", "")))

    if reply_to:
        await admin.subscribe(reply_to, cb=on_message)
    await admin.subscribe("_INBOX_gateway.>", cb=on_message)
    await admin.publish(subjects.KEYS, b"{}", reply=reply_to)
    for number in range(8):  # more than the broker answers at once
        await admin.publish(subjects.KEYS, b"{}", reply=f"_INBOX_gateway.{number}")

    answered = {await asyncio.wait_for(heard.get(), 5) for _ in range(8)}

    assert answered == {f"_INBOX_gateway.{number}" for number in range(8)}
    assert heard.empty()


async def test_a_gateway_is_answered(new_bus: Callable[[str], Bus]) -> None:
    """The asker's own inbox gets the answer."""
    bus = new_bus("gateway")
    await bus.start()

    reply: Destroyed = await bus.request(subjects.KEYS, AskKeys(), Destroyed, 5, Code.SIGNING_UNAVAILABLE)
    await bus.stop()

    assert reply == Destroyed()


async def test_an_answer_that_can_not_be_understood_is_none(new_bus: Callable[[str], Bus]) -> None:
    """A newer broker may answer with words that are not known here; the caller has its own for that."""
    bus = new_bus("gateway")
    await bus.start()

    with pytest.raises(BusUnavailable) as caught:
        await bus.request(subjects.KEYS, AskKeys(), Keys, 5, Code.SIGNING_UNAVAILABLE)
    await bus.stop()

    assert caught.value.code == Code.SIGNING_UNAVAILABLE
