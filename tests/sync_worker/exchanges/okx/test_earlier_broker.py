"""A broker of the release before signs no read that is new: the others are read all the same."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast
from uuid import UUID

import pytest

from chassis.clocks import Clocks
from contracts.credentials import SignedRead
from contracts.exchanges.okx import OKX
from contracts.exchanges.types import OWN, Read
from contracts.faults import Code, failure
from contracts.syncs import Verdict
from sync_worker.broker import Access, Broker
from sync_worker.exchanges.http import Https
from sync_worker.exchanges.okx.connector import EARN_READS, FIRST_READS, POSITIONS, Okx
from sync_worker.exchanges.signed import Parts
from sync_worker.verdicts import TOLERANCE
from tests.sync_worker import scripted as script
from tests.sync_worker.scripted import ScriptedExchange

if TYPE_CHECKING:
    from sync_worker.settings import Settings

FIRST = frozenset(read.name for read in FIRST_READS)
WITHOUT_LOANS = FIRST | {POSITIONS.name, *(read.name for read in EARN_READS)} - {"flexible_loans"}


class EarlierBroker:
    """Signs the reads that its release knows, and refuses a batch with any other one."""

    def __init__(self, known: frozenset[str]) -> None:
        self.known = known

    async def authorize(self, _access: Access, reads: Sequence[Read], _now: int) -> tuple[SignedRead, ...]:
        """Return the reads without headers, which the scripted exchange does not check."""
        if any(read.name not in self.known for read in reads):
            raise failure(Code.READ_NOT_ALLOWED)
        return tuple(SignedRead(read.name, "GET", OKX.request(read).target, {}) for read in reads)


class OneRegion:
    """The settings that the connector uses."""

    egress_addresses = ()

    def __init__(self, origin: str) -> None:
        self.origins = {OKX.key: {"us": {OWN: origin}}}


@pytest.mark.parametrize("known", [FIRST, WITHOUT_LOANS], ids=["without earn", "without loans"])
@pytest.mark.parametrize("empty", [frozenset(), frozenset({"earn"})], ids=["earn is due", "earn was empty"])
async def test_a_broker_that_does_not_know_a_read_costs_no_other_wallet(
    https: Https, server: ScriptedExchange, known: frozenset[str], empty: frozenset[str]
) -> None:
    """Nothing is said of loans, so the gateway keeps what it has; the two first wallets are complete."""
    server.scripts[script.VALUATION] = script.rows(
        {"details": {"trading": "64000", "funding": "64000", "earn": "5"}}
    )
    settings, broker = cast("Settings", OneRegion(server.origin)), cast("Broker", EarlierBroker(known))
    access = Access(UUID(int=0), OKX.key, "us", "", time.monotonic() + 20.0, empty)

    reading = await Okx(Parts(https, broker, Clocks(), settings), TOLERANCE).read_wallets(access)

    trading, funding, earn = reading.wallets
    assert (trading.verdict, funding.verdict) == (Verdict.COMPLETE, Verdict.COMPLETE)
    assert earn.verdict is not Verdict.COMPLETE
    assert reading.uncovered == ()
    assert script.LOANS not in server.targets()
