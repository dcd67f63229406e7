"""The clock of the NATS server."""

from datetime import datetime

import msgspec

from chassis.bus.connection import Bus
from chassis.clocks import Ask
from contracts.wire.envelope import decode
from contracts.wire.topology import Consumer

INFO_SECONDS = 1.5


class _Told(msgspec.Struct):
    """The time of the server in a reply about a consumer."""

    ts: datetime


def nats_clock(bus: Bus, consumer: Consumer) -> Ask:
    """Return a function that asks the server for its time: since NATS 2.10, replies about a consumer have it.

    That function raises BusUnavailable, nats.errors.Error, and Malformed for an unknown consumer.
    """
    subject = f"$JS.API.CONSUMER.INFO.{consumer.stream}.{consumer.name}"

    async def ask() -> float:
        answer = await bus.client.request(subject, b"", timeout=INFO_SECONDS)
        told: _Told = decode(answer.data, _Told)
        return told.ts.timestamp()

    return ask
