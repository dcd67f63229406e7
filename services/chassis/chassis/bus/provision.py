"""Create or update the streams and consumers: `python -m chassis.bus.provision --url URL --nkey-file FILE`.

Only this command may do so, because it has the admin's key; repeating it changes nothing. With
`--subscribers FILE` it also creates the consumers of that list's subscribers, and deletes all others.
`--replicas N` keeps each stream on N servers of a cluster; without it a stream keeps its replicas, and a new
one has one. `--ca-file FILE` turns on TLS; add `--cert-file` and `--key-file` if the server requires them.
"""

import argparse
import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import nats
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DeliverPolicy, RetentionPolicy, StreamConfig
from nats.js.errors import NotFoundError, ServerError

import chassis.bus.transport  # noqa: F401 - a failed handshake must end
from chassis.tls import tls_context
from contracts.streams import ACCOUNT_EVENTS, PORTFOLIO_EVENTS
from contracts.wire.key_files import last_line
from contracts.wire.subscribers import PREFIX, Subscriber, read_subscribers
from contracts.wire.topology import CONSUMERS, STREAMS, Consumer

TIMEOUT = 10
# Far more than the deadline of a sync: older messages are settled, and reading them first would take minutes.
NEW_CONSUMER_READS = timedelta(hours=1)
# Another provisioning may create the same consumer between our check and our request, but only once.
TRIES = 3
# "error creating store for stream".
NO_STORE = 10049
AGAIN_SECONDS = 0.2
# The start of a consumer is fixed at its creation: the server refuses an update with another start.
ANOTHER_START = 10012
START = ("deliver_policy", "opt_start_seq", "opt_start_time")


async def provision(
    url: str,
    nkey_file: str,
    subscribers: Iterable[Subscriber] | None = None,
    *,
    replicas: int | None = None,
    tls: ssl.SSLContext | None = None,
) -> None:
    """Create or update every stream and consumer of the topology, and the subscribers' if given.

    Raises nats.errors.Error.
    """
    async with _administering(url, nkey_file, tls) as jetstream:
        await create_streams(jetstream, replicas)
        if subscribers is not None:
            await create_subscribers(jetstream, subscribers)


async def delete_consumers_of_others(
    url: str, nkey_file: str, subscribers: Iterable[Subscriber], *, tls: ssl.SSLContext | None = None
) -> None:
    """Delete the consumers of all other subscribers, before the server admits new ones.

    Raises nats.errors.Error.
    """
    async with _administering(url, nkey_file, tls) as jetstream:
        await _delete_others(jetstream, {subscriber.name: subscriber.consumer for subscriber in subscribers})


@asynccontextmanager
async def _administering(
    url: str, nkey_file: str, tls: ssl.SSLContext | None = None
) -> AsyncIterator[JetStreamContext]:
    client = await nats.connect(
        url,
        nkeys_seed_str=_seed(Path(nkey_file)),
        connect_timeout=TIMEOUT,
        max_reconnect_attempts=3,
        name="provision",
        tls=tls,
        tls_handshake_first=tls is not None,
    )
    try:
        yield client.jetstream(timeout=TIMEOUT)
    finally:
        await client.close()


def _seed(nkey_file: Path) -> str:
    return last_line(nkey_file.read_bytes()).decode()


async def create_streams(jetstream: JetStreamContext, replicas: int | None = None) -> None:
    """Create or update the streams with so many replicas, then the consumers, each where its stream is."""
    for stream in STREAMS:
        await _create_stream(jetstream, stream, replicas)
    for consumer in CONSUMERS:
        await _create_consumer(jetstream, consumer)


async def create_subscribers(jetstream: JetStreamContext, subscribers: Iterable[Subscriber]) -> None:
    """Create or update the consumers of subscribers, and delete all others first."""
    wanted = {subscriber.name: subscriber.consumer for subscriber in subscribers}
    await _delete_others(jetstream, wanted)
    for consumer in wanted.values():
        await _create_consumer(jetstream, consumer)


async def _delete_others(jetstream: JetStreamContext, wanted: Mapping[str, Consumer]) -> None:
    """Delete the consumers of former subscribers, also if another subscriber has the name now.

    An update of such a consumer would give its waiting events to the other subscriber.
    """
    for stream in (ACCOUNT_EVENTS, PORTFOLIO_EVENTS):
        answer = await jetstream._api_request(f"$JS.API.CONSUMER.NAMES.{stream}", timeout=TIMEOUT)
        for name in [each for each in answer["consumers"] or () if each.startswith(PREFIX)]:
            with suppress(NotFoundError):  # another provisioning may have deleted it
                if not await _is_wanted(jetstream, stream, wanted.get(name)):
                    await jetstream.delete_consumer(stream, name)


async def _is_wanted(jetstream: JetStreamContext, stream: str, wanted: Consumer | None) -> bool:
    """Return whether a consumer of a stream is that of a subscriber, with its events."""
    if wanted is None or wanted.stream != stream:
        return False
    return await _filter(jetstream, wanted) == wanted.filter_subject


async def _create_stream(jetstream: JetStreamContext, stream: StreamConfig, replicas: int | None) -> None:
    try:
        standing = (await jetstream.stream_info(str(stream.name))).config.num_replicas
        await jetstream.update_stream(stream.evolve(num_replicas=replicas or standing))
    except NotFoundError:
        await _add_stream(jetstream, stream.evolve(num_replicas=replicas or 1))


async def _add_stream(jetstream: JetStreamContext, stream: StreamConfig) -> None:
    """Create a stream, also while the server still deletes the files of one of the same name."""
    for attempt in range(1, TRIES + 1):
        try:
            await jetstream.add_stream(stream)
            return
        except ServerError as error:
            if error.err_code != NO_STORE or attempt == TRIES:
                raise
            await asyncio.sleep(AGAIN_SECONDS * attempt)


async def _create_consumer(jetstream: JetStreamContext, consumer: Consumer) -> None:
    """Create a consumer, or update it without a change of its position."""
    for attempt in range(1, TRIES + 1):
        start = await _existing_start(jetstream, consumer) or await _first_start(jetstream, consumer)
        try:
            await jetstream.add_consumer(consumer.stream, consumer.config(), **start)
            return
        except ServerError as error:
            if error.err_code != ANOTHER_START or attempt == TRIES:
                raise


async def _filter(jetstream: JetStreamContext, consumer: Consumer) -> str | None:
    """Return the filter subject of an existing consumer; raises NotFoundError."""
    config: ConsumerConfig = (await jetstream.consumer_info(consumer.stream, consumer.name)).config
    return config.filter_subject


async def _existing_start(jetstream: JetStreamContext, consumer: Consumer) -> dict[str, Any]:
    """Return the start of an existing consumer as the server wrote it; empty if it does not exist."""
    subject = f"$JS.API.CONSUMER.INFO.{consumer.stream}.{consumer.name}"
    try:
        # `consumer_info` would cut off the nanoseconds of the time, which changes it.
        config = (await jetstream._api_request(subject, timeout=TIMEOUT))["config"]
    except NotFoundError:
        return {}
    return {field: config[field] for field in START if field in config}


async def _first_start(jetstream: JetStreamContext, consumer: Consumer) -> dict[str, Any]:
    """Return the start of a new consumer: an hour ago by the server's clock; the beginning of a queue."""
    # `stream_info` leaves out the server's time.
    answer = await jetstream._api_request(f"$JS.API.STREAM.INFO.{consumer.stream}", timeout=TIMEOUT)
    if answer["config"]["retention"] == RetentionPolicy.WORK_QUEUE:
        return {"deliver_policy": DeliverPolicy.ALL}
    now = datetime.fromisoformat(answer["ts"]).replace(microsecond=0)
    return {"deliver_policy": DeliverPolicy.BY_START_TIME, "opt_start_time": now - NEW_CONSUMER_READS}


def arguments(line: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line, by default that of the process."""
    parser = argparse.ArgumentParser(prog="chassis.bus.provision", description=__doc__)
    parser.add_argument("--url", required=True, help="nats://HOST:PORT")
    parser.add_argument("--nkey-file", required=True, help="file with the admin's nkey seed")
    parser.add_argument("--subscribers", type=Path, help="file with the list of subscribers")
    parser.add_argument("--replicas", type=int, choices=(1, 3, 5), help="servers that keep each stream")
    parser.add_argument(
        "--ca-file", help="trust the server by this authority, and speak TLS from the first byte"
    )
    parser.add_argument("--cert-file", default="", help="certificate to show to the server")
    parser.add_argument("--key-file", default="", help="key of that certificate")
    options = parser.parse_args(line)
    if (options.cert_file or options.key_file) and not options.ca_file:
        parser.error("--cert-file and --key-file need --ca-file: without it the connection is in clear text")
    return options


def main() -> None:
    """Read the command line and provision."""
    options = arguments()
    listed = options.subscribers and read_subscribers(options.subscribers.read_bytes())
    tls = tls_context(options.ca_file, options.cert_file, options.key_file) if options.ca_file else None
    asyncio.run(provision(options.url, options.nkey_file, listed, replicas=options.replicas, tls=tls))


if __name__ == "__main__":
    main()
