"""The connector of OKX: reads the wallets of an account, and the owner and rights of a key."""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

import msgspec
import structlog

from contracts.credentials import SignedRead, Verified
from contracts.exchanges.okx import OKX
from contracts.exchanges.types import PublicRead, Read
from contracts.faults import Code, Failure
from contracts.prices import IndexPrice, PricesRead, PricesRequested, Quote
from contracts.syncs import Rights, SubAccount, SubAccountList, Verdict, WalletRead
from contracts.values import Secret
from sync_worker.broker import Access
from sync_worker.budgets.order import FIRST, in_turn
from sync_worker.closures.hearing import Maintenance
from sync_worker.errors import HeldBack
from sync_worker.exchanges.faults import Asked, status_failure
from sync_worker.exchanges.http import Answer
from sync_worker.exchanges.okx.earn import (
    DUAL,
    EARN,
    ORDERS,
    REWARDS,
    SAVINGS,
    STAKED,
    Around,
    EarnReads,
    dual_reads_by_state,
    is_full,
    judge_earn,
)
from sync_worker.exchanges.okx.faults import okx_failure
from sync_worker.exchanges.okx.loans import LOANS, loans_found
from sync_worker.exchanges.okx.payloads import parse_config, parse_envelope, parse_rights, parse_time
from sync_worker.exchanges.okx.positions import with_positions
from sync_worker.exchanges.okx.status import parse_status
from sync_worker.exchanges.okx.sub_accounts import (
    MAX_PAGES,
    PAGE,
    Page,
    judge_sub_account,
    listed,
    page_read,
    parse_page,
    reads_of,
)
from sync_worker.exchanges.okx.tickers import parse_head, parse_indexes, parse_tickers
from sync_worker.exchanges.okx.turns import LONGEST_WAIT_SECONDS, Turns
from sync_worker.exchanges.okx.wallets import judge_wallets, valued_at
from sync_worker.exchanges.parts import is_worth_nothing, not_due
from sync_worker.exchanges.public import Source, read_public
from sync_worker.exchanges.signed import Dialect, Parts, Reader, echoes
from sync_worker.sync import Reading
from sync_worker.verdicts import Fetched, parsed, retry_after

# A public read needs no signature.
TIME = SignedRead("public_time", "GET", "/api/v5/public/time", {})
VALUATION = Read("asset_valuation", {"ccy": "USD"})
CONFIG_READS = (Read("account_config"),)
TICKERS, INDEX_TICKERS = OKX.price_reads
BALANCE, FUNDING = Read("account_balance"), Read("asset_balances")
POSITIONS = Read("account_positions")
# A broker of the release before signs no other reads.
FIRST_READS = (BALANCE, FUNDING, VALUATION, *CONFIG_READS)
EARN_READS = (SAVINGS, ORDERS, DUAL, LOANS, REWARDS, *STAKED)
# Connections pair the first half with the second one, so that the responses of a pair differ in their shape.
USUAL_READS = (BALANCE, FUNDING, POSITIONS, VALUATION, *CONFIG_READS)
ALL_READS = (
    *(BALANCE, FUNDING, SAVINGS, ORDERS, DUAL, POSITIONS),
    *(VALUATION, *CONFIG_READS, REWARDS, *STAKED, LOANS),
)
# OKX allows one of these reads a second: it allows the next one then, unless another was sent in between.
ONCE_A_SECOND = frozenset({VALUATION.name, DUAL.name})
AGAIN_SECONDS = 1.1
# A read that no further try repeats.
UNAWAITED = frozenset({VALUATION.name, POSITIONS.name, LOANS.name})
PASSING_REFUSALS = frozenset({Code.RATE_LIMITED, Code.EXCHANGE_UNAVAILABLE, Code.EXCHANGE_ERROR})
# We accept data only with this status, and an error code with any status.
OK = 200

Price = TypeVar("Price", Quote, IndexPrice)
Parsed = TypeVar("Parsed")

log = structlog.get_logger()


def connect(parts: Parts, own: Decimal) -> "Okx":
    """Return the connector of OKX; `own` is its setting, the tolerance."""
    return Okx(parts, own)


class Okx:
    """Reads OKX accounts, with the hosts of the general settings and the tolerance of its own."""

    exchange = OKX

    def __init__(self, parts: Parts, tolerance: Decimal) -> None:
        data_of = partial(_data, egress=parts.settings.egress_addresses)
        self._reader = Reader(parts, OKX, Dialect(TIME, parse_time, data_of, _again_in))
        self._tolerance = tolerance
        self._parts = parts
        self._turns = Turns()

    async def read_wallets(self, access: Access) -> Reading:
        """Read all wallets that are due, the exchange's own totals and the rights of the key.

        Raises Failure if no read could be sent.
        """
        if access.sub_account is not None:
            return await self._read_sub_account(access, access.sub_account)
        reads = await self._read_first(access, USUAL_READS if EARN in access.lately_empty else ALL_READS)
        trading, funding, valuation, config = (reads[read.name] for read in FIRST_READS)
        wallets: tuple[WalletRead, ...] = judge_wallets(trading, funding, valuation, self._tolerance)
        around = Around(wallets, trading, valued_at(valuation).get(EARN))
        if POSITIONS.name not in reads:
            earn = WalletRead(EARN, Verdict.NOT_COVERED)
        elif DUAL.name not in reads and is_worth_nothing(valuation, around.valued):
            earn = not_due(EARN, valuation, around.valued)
        else:
            earn = judge_earn(await self._earn_reads(access, reads), around)
        if POSITIONS.name in reads:
            wallets = (with_positions(wallets[0], reads[POSITIONS.name]), *wallets[1:])
        wallets = (*wallets, earn)
        found = loans_found(reads[LOANS.name], around.as_of) if LOANS.name in reads else None
        uncovered = () if found is None else (found,)
        asked_to_wait = retry_after([each for name, each in reads.items() if name not in UNAWAITED])
        reading = _with_rights(Reading(wallets, asked_to_wait, uncovered=uncovered), config)
        if not access.list_sub_accounts:
            return reading
        return msgspec.structs.replace(reading, sub_accounts=await self._list_sub_accounts(access, wallets))

    async def verify(self, access: Access) -> Verified:
        """Read the owner and the rights of the key; raises Failure."""
        (config,) = await self._reader.read(access, CONFIG_READS)
        return parsed(parse_config, config)

    async def read_rights(self, access: Access) -> Rights:
        """Read only the account and the rights of the key; raises Failure."""
        (config,) = await self._reader.read(access, CONFIG_READS)
        return parsed(parse_rights, config)

    async def read_prices(self, request: PricesRequested, seconds: float) -> PricesRead:
        """Read the last trades of all spot pairs, and OKX's indexes in USD."""
        read_at = self._parts.clocks.now()
        quotes, indexes = await asyncio.gather(
            self._listed(TICKERS, parse_tickers, seconds), self._listed(INDEX_TICKERS, parse_indexes, seconds)
        )
        fault = next((each for each in (quotes, indexes) if isinstance(each, Failure)), None)
        return PricesRead(
            OKX.key,
            request.request_id,
            read_at,
            None if isinstance(quotes, Failure) else quotes,
            None if isinstance(indexes, Failure) else indexes,
            None if fault is None else fault.code,
        )

    async def read_status(self, region: str, seconds: float) -> Maintenance | None:
        """Read whether OKX is in maintenance; raises Failure."""
        assert OKX.status_read is not None  # noqa: S101 - its entry has one
        source = Source(OKX.key, self._parts.settings.origins[OKX.key][region][OKX.status_read.host])
        of_status = partial(_public_of, OKX.status_read.name, parse_status)
        with in_turn(FIRST):  # all work waits for it
            return await read_public(self._parts, source, OKX.status_read, of_status, seconds)

    async def _listed(
        self, read: PublicRead, parse: Callable[[bytes], tuple[Price, ...]], seconds: float
    ) -> tuple[Price, ...] | Failure:
        try:
            source = Source(OKX.key, self._parts.settings.origins[OKX.key][OKX.regions[0].key][read.host])
            of_list = partial(_public_of, read.name, parse)
            return await read_public(self._parts, source, read, of_list, seconds)
        except Failure as fault:
            return fault

    async def _read_first(self, access: Access, reads: Sequence[Read]) -> dict[str, Fetched | Failure]:
        """Read, or else what the broker signs while it is of the release before; returns reads by name."""
        results = await self._reader.read(access, reads)
        if any(isinstance(each, Failure) and each.code == Code.READ_NOT_ALLOWED for each in results):
            reads, results = FIRST_READS, await self._reader.read(access, FIRST_READS)
        return _by_name(reads, results)

    async def _read_sub_account(self, access: Access, sub_account: SubAccount) -> Reading:
        """Read the wallets of a sub-account that the key of its master reads, and the rights of the key.

        A broker of the release before signs none of these reads, and no other reads stand in for them. Raises
        Failure if no read could be sent.
        """
        wait = self._turns.take(access.credential_id, access.grant, time.monotonic())
        if wait > LONGEST_WAIT_SECONDS:
            raise HeldBack(wait)
        await asyncio.sleep(wait)
        asked = reads_of(sub_account)
        results = await self._reader.read(access, asked)
        reads = _by_name(asked, results)
        wallets, proven = judge_sub_account(sub_account, reads, self._tolerance)
        reading = Reading(wallets, retry_after(results), sub_account=sub_account if proven else None)
        return _with_rights(reading, reads[CONFIG_READS[0].name])

    async def _list_sub_accounts(self, access: Access, wallets: Sequence[WalletRead]) -> SubAccountList:
        """Read the list of sub-accounts in pages, unless a wallet failed: then the next try reads it."""
        if failed := [each.error_code for each in wallets if each.verdict is Verdict.FAILED]:
            return SubAccountList(error_code=failed[0] or Code.INTERNAL_ERROR)
        pages: list[Page] = []
        while len(pages) < MAX_PAGES:
            (fetched,) = await self._reader.read_more(
                access, (page_read(pages[-1].after if pages else None),)
            )
            try:
                pages.append(parsed(parse_page, fetched))
            except Failure as fault:
                return SubAccountList(error_code=fault.code)
            if pages[-1].rows < PAGE:
                return listed(pages, more=False)
            if pages[-1].after is None:
                break
        return listed(pages, more=True)

    async def _earn_reads(self, access: Access, reads: dict[str, Fetched | Failure]) -> EarnReads:
        """Return the reads of the earn wallet, with those by state if one response may lack orders.

        Adds to `reads` what they lack.
        """
        if DUAL.name not in reads:
            reads |= _by_name(EARN_READS, await self._reader.read_more(access, EARN_READS))
        dual = [reads[DUAL.name]]
        if is_full(dual[0]):
            dual = await self._reader.read_more(access, dual_reads_by_state(), AGAIN_SECONDS)
        parts = (read.name for read in EARN_READS if read not in (DUAL, LOANS))
        return EarnReads({name: reads[name] for name in parts}, dual)


def _with_rights(reading: Reading, config: Fetched | Failure) -> Reading:
    try:
        return msgspec.structs.replace(reading, rights=parsed(parse_rights, config))
    except Failure as fault:
        return msgspec.structs.replace(reading, rights_code=fault.code)


def _by_name(reads: Sequence[Read], results: Sequence[Fetched | Failure]) -> dict[str, Fetched | Failure]:
    return dict(zip((read.name for read in reads), results, strict=True))


def _again_in(name: str, fault: Failure) -> float | None:
    """Return the seconds after which to retry a read that is allowed once a second and was refused."""
    passing = name in ONCE_A_SECOND and fault.code in PASSING_REFUSALS
    return AGAIN_SECONDS if passing and (fault.retry_after or 0.0) <= AGAIN_SECONDS else None


def _data(answer: Answer, name: str, region: str, sent: Collection[Secret], *, egress: Sequence[str]) -> Any:
    """Return the data of a response; raises the Failure of its error code, or else of its HTTP status."""
    envelope = parse_envelope(answer.body)
    if envelope is not None and envelope.code != "0":
        code = "" if echoes(envelope.code, sent) else envelope.code
        fault = okx_failure(code, envelope.msg, Asked(name, region, egress), answer.retry_after)
        if fault.code == Code.EXCHANGE_ERROR:
            log.warning("unlisted_error_code", endpoint=fault.endpoint, exchange_code=fault.exchange_code)
        raise fault
    if envelope is None or answer.status != OK:
        raise status_failure(answer.status, answer.retry_after)
    return envelope.data


def _public_of(name: str, parse: Callable[[bytes], Parsed], answer: Answer) -> Parsed:
    """Return what a public response says; raises Failure."""
    head = parse_head(answer.body)
    if head is not None and head.code != "0":
        raise okx_failure(head.code, head.msg, Asked(name), answer.retry_after)
    if head is None or answer.status != OK:
        raise status_failure(answer.status, answer.retry_after)
    return parse(answer.body)
