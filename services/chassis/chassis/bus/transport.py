"""A workaround for nats-py's transport, which hangs when a TLS handshake fails."""

import asyncio
from contextlib import suppress

import nats.aio.client
from nats.aio.transport import TcpTransport

CLOSE_SECONDS = 1.0


class _Transport(TcpTransport):
    """The transport with a timeout for closing, which would hang for ever after a failed handshake."""

    async def wait_closed(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(super().wait_closed(), CLOSE_SECONDS)  # type: ignore[no-untyped-call]


# The client has no parameter for the transport.
nats.aio.client.TcpTransport = _Transport  # type: ignore[attr-defined]
