"""Joins the bus of the tests as one of its users, with its certificate."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import nats as nats_client
from nats.aio.client import Client

from chassis.bus.connection import Bus
from contracts.values import Secret
from deploy.bus_keys import seed as seed_of
from deploy.local.nats import Nats


@dataclass(frozen=True, slots=True)
class SecuredNats(Nats):
    """A bus whose clients all have one context."""

    tls: ssl.SSLContext

    def context(self, user: str) -> ssl.SSLContext:  # noqa: ARG002 - all have one
        """Return the context of a user's connections."""
        return self.tls


@dataclass(frozen=True, slots=True)
class PlainNats(Nats):
    """A bus without TLS, as earlier stacks had it."""


def tls_of(bus: Nats, user: str) -> ssl.SSLContext | None:
    """Return the context for a user of a bus, None without TLS."""
    return None if isinstance(bus, PlainNats) else bus.context(user)


def secured(bus: Nats, user: str) -> dict[str, Any]:
    """Return the options of a client for TLS, none without TLS."""
    tls = tls_of(bus, user)
    return {"tls": tls, "tls_handshake_first": True} if tls else {}


def bus_of(bus: Nats, user: str, role: str = "", url: str | Sequence[str] = "") -> Bus:
    """Return a service's connection as a user, not yet started; the role has the user's name by default."""
    seed = Secret(seed_of(bus.seed_file(user)))
    return Bus(user, role or user, url or bus.url, seed, tls=tls_of(bus, user))


async def joined(bus: Nats, user: str, **options: Any) -> Client:
    """Connect as a user of the topology; raises nats.errors.Error."""
    options = secured(bus, user) | options
    return await nats_client.connect(bus.url, nkeys_seed_str=seed_of(bus.seed_file(user)), **options)


async def leave(client: Client) -> None:
    """Close a client also if its connect failed, after which nats-py leaves the socket open."""
    if client._transport is not None:
        client._transport.close()  # type: ignore[no-untyped-call]
    await client.close()
