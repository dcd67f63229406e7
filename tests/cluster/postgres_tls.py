"""TLS before a PostgreSQL that was built without it: `python -m tests.cluster.postgres_tls FOLDER HOST`.

Like PostgreSQL it reads its files again at SIGHUP, and keeps the certificate before where they do not match.
"""

import asyncio
import ssl
import sys
from contextlib import suppress
from pathlib import Path
from signal import SIGHUP

PORT = 5432
CHUNK = 65536
# What a client asks before anything else: for encryption by GSSAPI, or by TLS.
GSS, TLS = bytes.fromhex("0000000804d21630"), bytes.fromhex("0000000804d2162f")


async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass all data on until either side ends."""
    with suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()


async def serve(
    host: str, context: ssl.SSLContext, client: tuple[asyncio.StreamReader, asyncio.StreamWriter]
) -> None:
    """Serve one client, which must ask for TLS."""
    reader, writer = client
    with suppress(OSError, asyncio.IncompleteReadError):
        while (asked := await reader.readexactly(len(TLS))) == GSS:
            writer.write(b"N")
        if asked == TLS:
            writer.write(b"S")
            await writer.start_tls(context)
            server = await asyncio.open_connection(host, PORT)
            await asyncio.gather(forward(reader, server[1]), forward(server[0], writer))
    writer.close()


def loaded(folder: Path) -> ssl.SSLContext:
    """Return a context with the certificate of the files; raises OSError."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    return context


async def main(folder: Path, host: str) -> None:
    """Serve until SIGTERM."""
    contexts = [loaded(folder)]

    def load() -> None:
        with suppress(OSError):
            contexts[:] = [loaded(folder)]

    asyncio.get_running_loop().add_signal_handler(SIGHUP, load)
    server = await asyncio.start_server(lambda *client: serve(host, contexts[0], client), "0.0.0.0", PORT)  # noqa: S104
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
