"""TLS to the bus: the server's name is verified, and the handshake comes before anything is said."""

import asyncio
import ssl
from contextlib import suppress

import nats.aio.client
from nats.aio.transport import TcpTransport

CLOSE_SECONDS = 1.0


class _Transport(TcpTransport):
    """nats-py's transport, which would wait for ever for the end of a connection whose handshake failed."""

    async def wait_closed(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(super().wait_closed(), CLOSE_SECONDS)  # type: ignore[no-untyped-call]


def tls_context(ca_file: str, certificate_file: str = "", key_file: str = "") -> ssl.SSLContext:
    """Trust the authority of a file alone, and show a certificate where one is told; raises OSError."""
    nats.aio.client.TcpTransport = _Transport  # type: ignore[attr-defined]  # it takes no transport as an argument
    context = ssl.create_default_context(cafile=ca_file)
    if certificate_file:
        # A key that wants a passphrase is refused: without one OpenSSL would ask at the terminal.
        context.load_cert_chain(certificate_file, key_file or None, password="")
    return context
