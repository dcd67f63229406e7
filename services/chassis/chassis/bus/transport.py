"""Workarounds for nats-py's transport: it hangs when a TLS handshake fails, and hides TLS from asyncio."""

import asyncio
from contextlib import suppress
from typing import Any

import nats.aio.client
from nats.aio.transport import TcpTransport

CLOSE_SECONDS = 1.0


class _Transport(TcpTransport):
    """The transport with a timeout for closing, which would hang for ever after a failed handshake.

    It tells asyncio of TLS, which would otherwise log a warning at the end of each connection.
    """

    async def connect_tls(self, *arguments: Any, **options: Any) -> None:
        await super().connect_tls(*arguments, **options)
        assert self._io_writer is not None  # noqa: S101 - it was just made
        self._io_writer._protocol._over_ssl = True  # type: ignore[attr-defined]

    async def wait_closed(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(super().wait_closed(), CLOSE_SECONDS)  # type: ignore[no-untyped-call]


# The client has no parameter for the transport.
nats.aio.client.TcpTransport = _Transport  # type: ignore[attr-defined]
