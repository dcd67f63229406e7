"""The connector of Binance: reads the wallets of an account, and the owner and rights of a key."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

import structlog

from contracts.credentials import SignedRead, Verified
from contracts.exchanges.binance import BINANCE
from contracts.exchanges.types import Read
from contracts.faults import Code, Failure, failure
from contracts.prices import PricesRead, PricesRequested
from contracts.syncs import Rights, Verdict, WalletRead
from contracts.values import Secret
from sync_worker.broker import Access
from sync_worker.budgets.order import FIRST, in_turn
from sync_worker.closures.hearing import Maintenance
from sync_worker.errors import UnexpectedResponse
from sync_worker.exchanges.answered import OK, status_failure
from sync_worker.exchanges.binance.answers import parse_time, used_of
from sync_worker.exchanges.binance.faults import Asked, binance_failure, code_of
from sync_worker.exchanges.binance.lists import parse_funding
from sync_worker.exchanges.binance.rights import parse_rights, parse_verified
from sync_worker.exchanges.binance.spot import parse_spot
from sync_worker.exchanges.binance.status import parse_status
from sync_worker.exchanges.binance.worths import Worths
from sync_worker.exchanges.http import Answer
from sync_worker.exchanges.lenient_json import read_body
from sync_worker.exchanges.public import Source, read_public
from sync_worker.exchanges.signed import Dialect, Parts, Reader, echoes
from sync_worker.exchanges.values import SHAPE
from sync_worker.sync import Reading
from sync_worker.verdicts import Fetched, judge, parsed, retry_after, unread

# A public read needs no signature.
TIME = SignedRead("server_time", "GET", "/api/v3/time", {})
RESTRICTIONS, INFO = Read("api_restrictions"), Read("account_info")
ACCOUNT = Read("account", {"omitZeroBalances": "true"})
ASSETS = Read("user_assets", {"needBtcValuation": "true"})
FUNDING = Read("funding_assets", {"needBtcValuation": "true"})
TOTALS = Read("wallet_balance", {"needBalanceDetail": "true"})
VERIFY_READS = (RESTRICTIONS, ACCOUNT)
log = structlog.get_logger()
FIRST_READS = (INFO, RESTRICTIONS, ACCOUNT, ASSETS, FUNDING, TOTALS)


def connect(parts: Parts) -> "Binance":
    """Return the connector of Binance."""
    return Binance(parts)


class Binance:
    """Reads Binance accounts."""

    exchange = BINANCE

    def __init__(self, parts: Parts) -> None:
        data = partial(_data, egress=parts.settings.egress_addresses)
        self._reader = Reader(parts, BINANCE, Dialect(TIME, parse_time, data, used_of=_used))
        self._parts = parts

    async def read_wallets(self, access: Access) -> Reading:
        """Read all wallets that are due, the control total and the rights of the key."""
        results = await self._reader.read(access, FIRST_READS)
        reads = dict(zip((read.name for read in FIRST_READS), results, strict=True))
        account, worths = reads[ACCOUNT.name], Worths()
        if isinstance(account, Failure):
            spot = unread("spot", account)
        else:
            of_spot = partial(parse_spot, account=account, earning=(), worths=worths)
            spot = judge("spot", of_spot, reads[ASSETS.name], None)
        funding = judge("funding", partial(parse_funding, worths=worths), reads[FUNDING.name], None)
        rest = (WalletRead(key, Verdict.NOT_COVERED) for key in BINANCE.covered_wallets[2:])
        reading = Reading((spot, funding, *rest), retry_after(results))
        try:
            rights = _rights(reads[RESTRICTIONS.name], account)
        except Failure as fault:
            return Reading(reading.wallets, reading.retry_after, rights_code=fault.code)
        return Reading(reading.wallets, reading.retry_after, rights=rights)

    async def verify(self, access: Access) -> Verified:
        """Read the owner and the rights of the key; raises Failure."""
        restrictions, account = await self._reader.read(access, VERIFY_READS)
        return parse_verified(parsed(_same, restrictions), parsed(_same, account))

    async def read_rights(self, access: Access) -> Rights:
        """Read only the account and the rights of the key; raises Failure."""
        restrictions, account = await self._reader.read(access, VERIFY_READS)
        return _rights(restrictions, account)

    async def read_prices(self, request: PricesRequested, seconds: float) -> PricesRead:
        """Read the public lists of prices."""
        del request, seconds
        raise failure(Code.NOT_AVAILABLE)

    async def read_status(self, region: str, seconds: float) -> Maintenance | None:
        """Read whether Binance is in maintenance; raises Failure."""
        assert BINANCE.status_read is not None  # noqa: S101 - its entry has one
        source = Source(
            BINANCE.key, self._parts.settings.origins[BINANCE.key][region][BINANCE.status_read.host]
        )
        with in_turn(FIRST):  # all work waits for it
            return await read_public(self._parts, source, BINANCE.status_read, _status_of, seconds)


def _rights(restrictions: Fetched | Failure, account: Fetched | Failure) -> Rights:
    return parse_rights(parsed(_same, restrictions), parsed(_same, account))


def _same(data: Any) -> Any:
    return data


def _used(name: str, answer: Answer) -> Mapping[str, int]:
    return used_of(name, answer.headers)


def _status_of(answer: Answer) -> Maintenance | None:
    if answer.status != OK:
        raise status_failure(answer.status, answer.retry_after)
    return parse_status(answer.body)


def _data(
    answer: Answer, name: str, region: str, sent: Collection[Secret], *, egress: Sequence[str] = ()
) -> Any:
    """Return the data of a response; raises the Failure of its error code, or else of its HTTP status."""
    document = read_body(answer.body)
    code = code_of(document)
    if code is not None:
        told = "" if echoes(code, sent) else code
        fault = binance_failure(told, Asked(name, region, egress), answer.retry_after, answer.status)
        if fault.code == Code.EXCHANGE_ERROR:
            log.warning("unlisted_error_code", endpoint=fault.endpoint, exchange_code=fault.exchange_code)
        raise fault
    if answer.status != OK:
        raise status_failure(answer.status, answer.retry_after)
    if document is None:
        raise UnexpectedResponse(SHAPE)
    return document
