"""A cure for nats-py's transport, which hangs when a TLS handshake fails."""

import asyncio
from contextlib import suppress

import nats.aio.client
from nats.aio.transport import TcpTransport

CLOSE_SECONDS = 1.0


class _Transport(TcpTransport):
    """The transport, which would wait for ever for the end of a connection whose handshake failed."""

    async def wait_closed(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(super().wait_closed(), CLOSE_SECONDS)  # type: ignore[no-untyped-call]


# The client takes no transport as an argument.
nats.aio.client.TcpTransport = _Transport  # type: ignore[attr-defined]
