"""The clock of the NATS server: its time, and the age of a message by it."""

from datetime import datetime

import msgspec

from chassis.bus.connection import Bus
from chassis.clocks import Ask
from contracts.wire.envelope import decode
from contracts.wire.topology import Consumer

NATS = "nats"
INFO_SECONDS = 1.5


class _Told(msgspec.Struct):
    """The part of every answer about a consumer that says when the server gave it."""

    ts: datetime


def nats_clock(bus: Bus, consumer: Consumer) -> Ask:
    """Give a way to ask the server for its time: an answer about a consumer says it, since NATS 2.10.

    What is given raises BusUnavailable, nats.errors.Error, and Malformed where there is no such consumer.
    """
    subject = f"$JS.API.CONSUMER.INFO.{consumer.stream}.{consumer.name}"

    async def ask() -> float:
        answer = await bus.client.request(subject, b"", timeout=INFO_SECONDS)
        told: _Told = decode(answer.data, _Told)
        return told.ts.timestamp()

    return ask
