"""Joins the bus of the tests as one of its users, with TLS where it has TLS."""

import ssl
from dataclasses import dataclass
from typing import Any

import nats as nats_client
from nats.aio.client import Client

from deploy.local.nats import Nats


@dataclass(frozen=True, slots=True)
class SecuredNats(Nats):
    """A bus whose clients begin with a TLS handshake."""

    tls: ssl.SSLContext


def tls_of(bus: Nats) -> ssl.SSLContext | None:
    """Return the context for clients of a bus, None without TLS."""
    return bus.tls if isinstance(bus, SecuredNats) else None


async def joined(bus: Nats, user: str, **options: Any) -> Client:
    """Connect as a user of the topology; raises nats.errors.Error."""
    if (tls := tls_of(bus)) is not None:
        options |= {"tls": tls, "tls_handshake_first": True}
    return await nats_client.connect(bus.url, nkeys_seed=str(bus.seed_file(user)), **options)
