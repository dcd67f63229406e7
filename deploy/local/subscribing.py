"""Adding and revoking subscribers of a stack, whether it runs or not.

The list is written first, then the server's configuration, then the consumers. The next start of the stack
completes interrupted changes.
"""

import asyncio
import json
import time
from pathlib import Path
from uuid import UUID

import msgspec
from nats.aio.client import Client
from nats.errors import Error

from chassis.bus.provision import delete_consumers_of_others, provision
from contracts.wire.subscribers import MAX_NAME, MAX_SUBSCRIBERS, PREFIX, Name, Subscriber
from deploy.bus_keys import SYSTEM, seed
from deploy.local.nats import Nats
from deploy.local.stack import in_use
from deploy.local.subscribers import public_key

CALL_SECONDS = 5
# A starting stack needs up to this long until its bus answers.
READY_SECONDS = 30
# nats-server 2.15.1 connects the imports of an account that a reload created only at the next reload.
RELOADS = 2


class SubscriberFailed(Exception):
    """A subscriber can not be added or revoked; the text says why."""


def add(directory: Path, user_id: UUID | None, name: str = "") -> Subscriber:
    """Add a subscriber of one user, or of all, with a new key; raises SubscriberFailed."""
    bus = _bus(directory)
    full_name = _checked(full(name or str(user_id or "all")))
    seed_file = bus.seed_file(full_name)
    with bus.registry.held() as subscribers:
        if any(each.name == full_name for each in subscribers):
            raise SubscriberFailed(f"{full_name} exists already: choose another --name, or revoke it first")
        if full_name in bus.registry.revoked() and not in_use(directory):
            raise SubscriberFailed(
                f"{full_name} was revoked while the stack was down, and its events are deleted at the next "
                f"start: start the stack first, or choose another --name"
            )
        if len(subscribers) >= MAX_SUBSCRIBERS:
            raise SubscriberFailed(f"there are {MAX_SUBSCRIBERS} subscribers, and no place for another")
        seed_file.unlink(missing_ok=True)  # a revoked key is not reused
        subscriber = Subscriber(full_name, public_key(seed_file), user_id)
        bus.registry.write((*subscribers, subscriber))
    return subscriber


def revoke(directory: Path, name: str) -> None:
    """Remove a subscriber from the list and delete its key; raises SubscriberFailed."""
    bus, name = _bus(directory), full(name)
    with bus.registry.held() as subscribers:
        left = tuple(each for each in subscribers if each.name != name)
        if left == subscribers:
            raise SubscriberFailed(f"there is no subscriber {name}: `list` shows all")
        bus.registry.revoke(name)
        bus.registry.write(left)
        for path in (bus.seed_file(name), bus.certificate(name)):
            path.unlink(missing_ok=True)


def listed(directory: Path) -> tuple[Subscriber, ...]:
    """Return the subscribers; raises SubscriberFailed."""
    return _bus(directory).registry.subscribers()


async def take_effect(directory: Path) -> None:
    """Apply the list to a running bus, and disconnect subscribers that are not in it.

    Raises SubscriberFailed.
    """
    bus = _bus(directory)
    if not in_use(directory):
        return
    # Locked to the end, because a command with an older list would delete the consumers of a newer one.
    with bus.registry.held() as subscribers:
        try:
            await _taken_over(bus, subscribers)
        except (Error, OSError) as error:
            reason = str(error) or type(error).__name__
            raise SubscriberFailed(
                f"the list is written, but the bus did not take it over ({reason}): restart the stack"
            ) from None


async def _taken_over(bus: Nats, subscribers: tuple[Subscriber, ...]) -> None:
    """Apply the locked list to server and consumers; raises nats.errors.Error, OSError."""
    admin, tls = str(bus.seed_file("admin")), bus.context("admin")
    bus.configure(subscribers)
    # A new subscriber with an old name must not get the events of the earlier user.
    await delete_consumers_of_others(bus.url, admin, subscribers, tls=tls)
    await reload_server(bus)
    await provision(bus.url, admin, subscribers, tls=tls)
    bus.registry.settle()


async def reload_server(bus: Nats) -> None:
    """Have the server read its configuration again; raises nats.errors.Error, SubscriberFailed.

    Requests in flight at that moment get no response; their senders retry.
    """
    client = await _system(bus)
    try:
        server = client._server_info["server_id"]
        for _ in range(RELOADS):
            answer = await client.request(f"$SYS.REQ.SERVER.{server}.RELOAD", timeout=CALL_SECONDS)
            if error := json.loads(answer.data).get("error"):
                raise SubscriberFailed(f"the server refuses its configuration: {error.get('description')}")
    finally:
        await client.close()


async def _system(bus: Nats) -> Client:
    """Connect as the system user, also to a bus that is still starting."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        client = Client()
        try:
            await client.connect(
                bus.url,
                nkeys_seed_str=seed(bus.seed_file(SYSTEM)),
                tls=bus.context(SYSTEM),
                tls_handshake_first=True,
                connect_timeout=CALL_SECONDS,
                allow_reconnect=False,
                error_cb=_unsaid,
                name="subscribers",
            )
            return client
        except (Error, OSError):
            await client.close()  # a failed connect leaves its socket open
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(CALL_SECONDS / 10)


async def _unsaid(error: Exception) -> None:
    """Ignore an error event, because the failed connection also raises an exception."""


def _bus(directory: Path) -> Nats:
    try:
        bus = Nats.of(directory)
    except (OSError, ValueError):
        raise SubscriberFailed(f"no stack was ever started on {directory}") from None
    if in_use(directory) and not bus.registry.path.exists():
        raise SubscriberFailed("the stack that runs is of an earlier version: stop it, and start this one")
    return bus


def full(name: str) -> str:
    """Return the full name of a subscriber, also for a name without the prefix."""
    return name if name.partition("-")[0] == PREFIX else f"{PREFIX}-{name}"


def _checked(name: str) -> str:
    try:
        return msgspec.convert(name, Name)
    except msgspec.ValidationError:
        words = f"a name has a-z, 0-9 and - between them, {MAX_NAME} characters at most"
        raise SubscriberFailed(f"{name!r} is not valid: {words}") from None
