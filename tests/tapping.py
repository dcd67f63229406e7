"""Receives all messages in every account of a bus, through users that are added to its configuration."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from secrets import token_bytes
from uuid import uuid4

import nats as nats_client
import nkeys
from nats.aio.client import Client
from nats.aio.msg import Msg

from deploy.local.nats import Nats
from deploy.local.subscribing import reload_server
from tests.joining import secured
from tests.waiting import until

MARK = "mark"
ACCOUNT = re.compile(r"^  ([A-Z0-9_]+) \{$(?:\n    .*)*?\n    users = \[", re.MULTILINE)


@dataclass
class Tap:
    """The messages received so far, in the order of each account."""

    clients: dict[str, Client] = field(default_factory=dict)
    heard: dict[str, list[Msg]] = field(default_factory=dict)

    async def connect(self, account: str, client: Client) -> None:
        """Begin to receive an account's messages."""
        self.clients[account], self.heard[account] = client, []
        await client.subscribe(">", cb=self._noting(account))
        await taken(client)

    async def say(self, account: str, subject: str, body: bytes = b"", reply: str = "") -> None:
        """Publish in an account as a user that may."""
        await self.clients[account].publish(subject, body, reply=reply)

    async def all(self) -> dict[str, list[Msg]]:
        """Return all messages once those that the server has accepted are received."""
        for account, client in self.clients.items():
            mark = uuid4().bytes
            await client.publish(MARK, mark)

            async def heard(account: str = account, mark: bytes = mark) -> bool:
                return any(message.data == mark for message in self.heard[account])

            await until(heard)
        return self.heard

    async def places(self, body: bytes) -> set[tuple[str, str]]:
        """Return the accounts that received a body, each with the subject."""
        heard = await self.all()
        return {
            (account, message.subject)
            for account, messages in heard.items()
            for message in messages
            if message.data == body
        }

    def _noting(self, account: str) -> Callable[[Msg], Awaitable[None]]:
        async def note(message: Msg) -> None:
            self.heard[account].append(message)

        return note


@asynccontextmanager
async def tapped(bus: Nats) -> AsyncIterator[Tap]:
    """Receive every account's messages of a bus until the end of the block."""
    before = bus.configuration.read_text()
    accounts = ACCOUNT.findall(before)
    keys = {account: nkeys.encode_seed(token_bytes(32), nkeys.PREFIX_BYTE_USER) for account in accounts}
    bus.write(ACCOUNT.sub(lambda found: _with_tap(found, keys), before))
    await reload_server(bus)
    tap = Tap()
    async with AsyncExitStack() as clients:
        for account, seed in keys.items():
            options = secured(bus, "admin") | {"nkeys_seed_str": seed.decode(), "allow_reconnect": False}
            client = await nats_client.connect(bus.url, **options)
            await tap.connect(account, await clients.enter_async_context(client))
        yield tap
    bus.write(before)
    await reload_server(bus)


async def taken(*clients: Client) -> None:
    """Wait until the server has accepted the clients' messages; a first `flush`'s ping may overtake them."""
    for client in clients:
        await client.flush()
        await client.flush()


def names(messages: Iterable[Msg]) -> set[str]:
    """Return the subjects of messages."""
    return {message.subject for message in messages}


def _with_tap(found: re.Match[str], keys: dict[str, bytes]) -> str:
    public: bytes = nkeys.from_seed(bytearray(keys[found[1]])).public_key
    return f"{found[0]} {{ nkey: {public.decode()} }},"
