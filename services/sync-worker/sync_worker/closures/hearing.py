"""The evidence of a try about its exchange: it answers, or it is closed. Pure."""

from collections.abc import Collection
from enum import Enum, auto

import msgspec

from contracts.faults import Actor, Code, fault_of
from contracts.syncs import LEFT_OUT, READ, Verdict, WalletRead
from sync_worker.sync import Reading

UNREACHED = frozenset({Code.EXCHANGE_UNAVAILABLE, Code.EXCHANGE_UNREACHABLE, Code.EXCHANGE_TIMEOUT})


class Maintenance(msgspec.Struct, frozen=True):
    """The exchange says that it is in maintenance; `ends`, if it says so, is a time of its own clock.

    It is in seconds since the epoch.
    """

    ends: float | None = None


class Heard(Enum):
    """The evidence of a try about the exchange."""

    ANSWERS = auto()
    CLOSED = auto()
    # The exchange did not answer, perhaps because of our network, or single endpoints are unavailable: after
    # a probe this counts as closed.
    SILENT = auto()
    # The try met a limit, or a fault of ours, or of a single endpoint.
    NOTHING = auto()


def heard(reading: Reading, closing: Collection[str]) -> Heard:
    """Return the evidence of a try; `closing` are the codes that mean the whole exchange.

    It answers if any wallet was read, or if it judged the key or the account by an error code. It is closed
    if each wallet failed as unavailable, with such a code or with an HTTP status alone.
    """
    tried = [read for read in reading.wallets if read.verdict not in LEFT_OUT]
    if any(read.verdict in READ or _judges(read) for read in tried):
        return Heard.ANSWERS
    if reading.held_back or reading.clocks_disagree or not tried:
        return Heard.NOTHING
    if all(_is_closing(read, closing) for read in tried):
        return Heard.CLOSED
    if all(read.error_code in UNREACHED for read in tried):
        return Heard.SILENT
    return Heard.NOTHING


def _judges(read: WalletRead) -> bool:
    """Return whether the exchange itself refused the key or the account."""
    user = fault_of(read.error_code or Code.INTERNAL_ERROR).actor is Actor.USER
    return read.exchange_code is not None and (user or read.verdict is Verdict.NOT_PERMITTED)


def _is_closing(read: WalletRead, closing: Collection[str]) -> bool:
    unavailable = read.error_code == Code.EXCHANGE_UNAVAILABLE
    return unavailable and (read.exchange_code is None or read.exchange_code in closing)
