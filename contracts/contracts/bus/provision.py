"""Create or update the streams and consumers: `python -m contracts.bus.provision --url URL --nkey-file FILE`.

It is the only part that may do so, with the admin's key; running it again changes nothing.
"""

import argparse
import asyncio

import nats
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from contracts.bus.topology import CONSUMERS, STREAMS

TIMEOUT = 10


async def provision(url: str, nkey_file: str) -> None:
    """Create or update every stream and consumer of the topology; raises nats.errors.Error."""
    client = await nats.connect(
        url, nkeys_seed=nkey_file, connect_timeout=TIMEOUT, max_reconnect_attempts=3, name="provision"
    )
    try:
        await create_streams(client.jetstream(timeout=TIMEOUT))
    finally:
        await client.close()


async def create_streams(jetstream: JetStreamContext) -> None:
    """Create or update the streams, then the consumers."""
    for stream in STREAMS:
        try:
            await jetstream.update_stream(stream)
        except NotFoundError:
            await jetstream.add_stream(stream)
    for consumer in CONSUMERS:
        await jetstream.add_consumer(consumer.stream, consumer.config())


def main() -> None:
    """Read the command line and provision."""
    parser = argparse.ArgumentParser(prog="contracts.bus.provision", description=__doc__)
    parser.add_argument("--url", required=True, help="nats://HOST:PORT")
    parser.add_argument("--nkey-file", required=True, help="file with the admin's nkey seed")
    arguments = parser.parse_args()
    asyncio.run(provision(arguments.url, arguments.nkey_file))


if __name__ == "__main__":
    main()
