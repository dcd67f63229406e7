"""The connector of Binance: reads the wallets of an account, and the owner and rights of a key."""

import asyncio
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

import msgspec
import structlog

from contracts.credentials import SignedRead, Verified
from contracts.exchanges.binance import BINANCE
from contracts.exchanges.types import PublicRead, Read
from contracts.faults import Code, Failure
from contracts.prices import PricesRead, PricesRequested
from contracts.syncs import Rights, WalletRead
from contracts.values import Secret
from sync_worker.broker import Access
from sync_worker.budgets.order import FIRST, in_turn
from sync_worker.closures.hearing import Maintenance
from sync_worker.exchanges.binance import earn
from sync_worker.exchanges.binance.btc_price import BtcPrice
from sync_worker.exchanges.binance.control import Control, control_of, in_usd, prices_by_wallet, uncovered
from sync_worker.exchanges.binance.faults import binance_failure, with_causes_ruled_out
from sync_worker.exchanges.binance.key import parse_rights, parse_verified
from sync_worker.exchanges.binance.payloads import parse_flags, parse_price, parse_time, refused_with
from sync_worker.exchanges.binance.prices import parse_quotes
from sync_worker.exchanges.binance.spot import SPOT, Around, differs, judge_spot, lists_earn
from sync_worker.exchanges.binance.status import parse_status
from sync_worker.exchanges.binance.wallets import FUNDING, PLACES, Place, judge_place, left_out, not_covered
from sync_worker.exchanges.faults import Asked, status_failure
from sync_worker.exchanges.http import Answer
from sync_worker.exchanges.lenient_json import read_body
from sync_worker.exchanges.parts import is_worth_nothing, not_due
from sync_worker.exchanges.public import Source, read_public
from sync_worker.exchanges.signed import Dialect, Parts, Reader, echoes
from sync_worker.sync import Reading
from sync_worker.verdicts import Fetched, parsed, retry_after, unread

# A public read needs no signature.
TIME = SignedRead("server_time", "GET", "/api/v3/time", {})
RESTRICTIONS, INFO = Read("api_restrictions"), Read("account_info")
ACCOUNT = Read("account", {"omitZeroBalances": "true"})
ASSETS = Read("user_assets", {"needBtcValuation": "true"})
CONTROL = Read("wallet_balance", {"needBalanceDetail": "true"})
TICKER_PRICE, BOOK_TICKER, EXCHANGE_INFO = BINANCE.price_reads
KEY_READS = (RESTRICTIONS, ACCOUNT)
FIRST_READS = (RESTRICTIONS, INFO, ACCOUNT, ASSETS, FUNDING.read, CONTROL)
# The price in USDT at which totals in BTC are shown in USD, and the time for that read.
BTC_PRICE = PublicRead("btc_price", "/api/v3/ticker/price?symbol=BTCUSDT")
PRICE_SECONDS = 5.0
# A read that no further try repeats.
UNAWAITED = frozenset({CONTROL.name, "usdm_positions", "coinm_positions"})
OK = 200
USED_OF_HOST, USED_OF_SAPI = "x-mbx-used-weight-1m", "x-sapi-used-ip-weight-1m"
WEIGHT = re.compile(r"[0-9]{1,9}", re.ASCII)

Parsed = TypeVar("Parsed")
Results = dict[str, Fetched | Failure]

log = structlog.get_logger()


class Due(msgspec.Struct, frozen=True):
    """The wallets that a sync leaves out, with their verdicts, and the reads of its second group."""

    out: Mapping[str, WalletRead]
    places: tuple[Place, ...]
    earns: bool
    again: tuple[Read, ...]


class Worths(msgspec.Struct, frozen=True):
    """The worth of a wallet by Binance's own total, None if unknown, and the prices of its assets, in USD."""

    valued: Callable[[str], Decimal | None]
    prices: Callable[[str], Mapping[str, Decimal]]


def connect(parts: Parts) -> "Binance":
    """Return the connector of Binance."""
    return Binance(parts)


class Binance:
    """Reads Binance accounts."""

    exchange = BINANCE

    def __init__(self, parts: Parts) -> None:
        data_of = partial(_data, egress=parts.settings.egress_addresses)
        self._reader = Reader(parts, BINANCE, Dialect(TIME, parse_time, data_of, used_of=_used_of))
        self._parts = parts
        self._btc = BtcPrice(self._ask_btc, time.monotonic)

    async def read_wallets(self, access: Access) -> Reading:
        """Read the key and the wallets that every user has, then the others, as far as they are due.

        Raises Failure if no read could be sent.
        """
        first, price = await self._read_first(access)
        control = control_of(first[CONTROL.name])
        valued = partial(control.valued, btc_usd=price)
        due = _due(access, first, control, valued)
        found, second = await self._read_second(access, due)
        reads = with_causes_ruled_out({**first, **second, **_flat(found)})
        lists = _pages_of(found, reads)
        prices = prices_by_wallet(_valued_rows(control, first))
        worths = Worths(valued, lambda wallet: in_usd(prices(wallet), price))
        judged = [*_judged(reads, lists, [FUNDING, *due.places], worths), *due.out.values()]
        asked_to_wait = retry_after([each for name, each in reads.items() if name not in UNAWAITED])
        refused = {read.wallet for read in judged if read.error_code == Code.REFUSED_RIGHT}
        beside = uncovered(reads[CONTROL.name], refused, price)
        return _with_rights(Reading(tuple(judged), asked_to_wait, uncovered=(beside,)), reads)

    async def verify(self, access: Access) -> Verified:
        """Read the owner and the rights of the key; raises Failure."""
        return parse_verified(*await self._key_facts(access))

    async def read_rights(self, access: Access) -> Rights:
        """Read only the account and the rights of the key; raises Failure."""
        return parse_rights(*await self._key_facts(access))

    async def read_prices(self, request: PricesRequested, seconds: float) -> PricesRead:
        """Read the prices of all pairs that are traded; without one of the three lists it returns none."""
        read_at = self._parts.clocks.now()
        read = PricesRead(BINANCE.key, request.request_id, read_at, has_volumes=False)
        whole = partial(self._public, parse=bytes, region="", seconds=seconds)
        try:
            info, last, offers = await asyncio.gather(
                whole(EXCHANGE_INFO), whole(TICKER_PRICE), whole(BOOK_TICKER)
            )
            quotes = parse_quotes(info, last, offers, read_at)
        except Failure as fault:
            return msgspec.structs.replace(read, error_code=fault.code)
        # Binance has no indexes, which is not the same as a list that could not be read.
        return msgspec.structs.replace(read, quotes=quotes, indexes=())

    async def read_status(self, region: str, seconds: float) -> Maintenance | None:
        """Read whether Binance is in maintenance; raises Failure."""
        assert BINANCE.status_read is not None  # noqa: S101 - its entry has one
        with in_turn(FIRST):  # all work waits for it
            return await self._public(BINANCE.status_read, parse_status, region, seconds)

    async def _key_facts(self, access: Access) -> list[Any]:
        results = dict(zip(_names(KEY_READS), await self._reader.read(access, KEY_READS), strict=True))
        return [_data_in(each) for each in with_causes_ruled_out(results).values()]

    async def _read_first(self, access: Access) -> tuple[Results, Decimal | None]:
        """Read the key, the wallets that every user has and the control total, and the price of BTC."""
        asking = asyncio.ensure_future(self._btc.usd())
        try:
            results = await self._reader.read(access, FIRST_READS)
            await asyncio.wait({asking}, timeout=max(0.0, access.ends - time.monotonic()))
            price = asking.result() if asking.done() else None
        finally:
            asking.cancel()
        return with_causes_ruled_out(dict(zip(_names(FIRST_READS), results, strict=True))), price

    async def _read_second(
        self, access: Access, due: Due
    ) -> tuple[dict[str, list[Fetched | Failure]], Results]:
        """Read the lists of earn with all their pages, and the other wallets."""
        lists = earn.LISTS if due.earns else ()
        others = [*(read for place in due.places for read in place.reads), *due.again]
        results = await self._read_more(access, [*(pages.page(1) for pages in lists), *others])
        found = {pages.name: [each] for pages, each in zip(lists, results, strict=False)}
        second = dict(zip(_names(others), results[len(lists) :], strict=True))
        for number in range(2, earn.MAX_PAGES + 1):
            more = [pages for pages in lists if _needs_more(pages, found[pages.name])]
            if not more:
                break
            following = await self._read_more(access, [pages.page(number) for pages in more])
            for pages, each in zip(more, following, strict=True):
                found[pages.name].append(each)
        return found, second

    async def _read_more(self, access: Access, reads: Sequence[Read]) -> list[Fetched | Failure]:
        return await self._reader.read_more(access, reads) if reads else []

    async def _ask_btc(self) -> Decimal:
        return await self._public(BTC_PRICE, lambda body: parse_price(read_body(body)), "", PRICE_SECONDS)

    async def _public(
        self, read: PublicRead, parse: Callable[[bytes], Parsed], region: str, seconds: float
    ) -> Parsed:
        """Read a public list of a region, of the first one if it has no name; raises Failure."""
        origins = self._parts.settings.origins[BINANCE.key][region or BINANCE.regions[0].key]
        of_list = partial(_public_of, read.name, parse)
        return await read_public(self._parts, Source(BINANCE.key, origins[read.host]), read, of_list, seconds)


def _judged(
    reads: Mapping[str, Fetched | Failure],
    found: Mapping[str, earn.Found],
    places: Sequence[Place],
    worths: Worths,
) -> list[WalletRead]:
    """Return the verdicts on the wallets that were read."""
    valued, prices = worths.valued, worths.prices
    flexible = earn.assets_in(earn.FLEXIBLE, found[earn.FLEXIBLE.name]) if found else frozenset()
    around = Around(reads[ACCOUNT.name], flexible, prices(SPOT), valued(SPOT))
    judged = [judge_spot(reads[ASSETS.name], around)]
    judged += [judge_place(place, reads, prices(place.wallet), valued(place.wallet)) for place in places]
    return [*judged, earn.judge_earn(found, prices(earn.EARN), valued(earn.EARN))] if found else judged


def _due(
    access: Access,
    first: Mapping[str, Fetched | Failure],
    control: Control,
    valued: Callable[[str], Decimal | None],
) -> Due:
    """Return the reads of the second group.

    Without the account's information we do not know which wallets contain others, so it reads none of them.
    """
    try:
        codes = left_out(parsed(parse_flags, first[INFO.name]), control, access.lately_refused)
        out = {wallet: not_covered(wallet, code, valued(wallet)) for wallet, code in codes.items()}
    except Failure as fault:
        out = {place.wallet: unread(place.wallet, fault) for place in PLACES}
    for wallet in BINANCE.valued_wallets:
        empty = wallet in access.lately_empty and is_worth_nothing(first[CONTROL.name], valued(wallet))
        if empty and wallet not in out and not (wallet == earn.EARN and _lists_earn(first)):
            out[wallet] = not_due(wallet, first[CONTROL.name], valued(wallet))
    places = tuple(place for place in PLACES if place.wallet not in out)
    # A trade between the two reads looks like a difference, so that both are read again, once.
    again = (ACCOUNT, ASSETS) if differs(first[ASSETS.name], first[ACCOUNT.name]) else ()
    return Due(out, places, earn.EARN not in out, again)


def _lists_earn(first: Mapping[str, Fetched | Failure]) -> bool:
    return lists_earn(first[ASSETS.name], first[ACCOUNT.name])


def _valued_rows(control: Control, reads: Mapping[str, Fetched | Failure]) -> dict[str, list[Any]]:
    """Return the rows with valuations in BTC, by wallet: those of its list, and of the control total."""
    rows = {wallet: list(each) for wallet, each in control.rows.items()}
    for wallet, name in ((SPOT, ASSETS.name), (FUNDING.wallet, FUNDING.read.name)):
        if isinstance(each := reads[name], Fetched) and isinstance(each.data, list):
            rows[wallet] = [*rows.get(wallet, ()), *each.data]
    return rows


def _with_rights(reading: Reading, reads: Mapping[str, Fetched | Failure]) -> Reading:
    try:
        key, account = (_data_in(reads[read.name]) for read in KEY_READS)
        return msgspec.structs.replace(reading, rights=parse_rights(key, account))
    except Failure as fault:
        return msgspec.structs.replace(reading, rights_code=fault.code)


def _needs_more(pages: earn.Pages, found: earn.Found) -> bool:
    try:
        return earn.needs_more(pages, found)
    except Failure:
        return False


def _flat(found: Mapping[str, Sequence[Fetched | Failure]]) -> Results:
    """Return the pages of all lists by name and number."""
    return {f"{name} {number}": each for name, pages in found.items() for number, each in enumerate(pages)}


def _pages_of(found: Mapping[str, earn.Found], reads: Results) -> dict[str, earn.Found]:
    """Return the pages of all lists as they stand in the reads of the sync."""
    return {name: [reads[f"{name} {at}"] for at in range(len(pages))] for name, pages in found.items()}


def _names(reads: Sequence[Read]) -> list[str]:
    return [read.name for read in reads]


def _data_in(fetched: Fetched | Failure) -> Any:
    return parsed(lambda data: data, fetched)


def _used_of(answer: Answer, read: str) -> dict[str, int]:
    """Return the weight that Binance says our address has used of the budget of a read, if it says so.

    Under /sapi each endpoint counts for itself; elsewhere each host does.
    """
    own = next(iter(BINANCE.costs.get(read, {})), None)
    text = answer.headers.get(USED_OF_SAPI if own == read else USED_OF_HOST, "")
    return {own: int(text)} if own is not None and WEIGHT.fullmatch(text) else {}


def _data(answer: Answer, name: str, region: str, sent: Collection[Secret], *, egress: Sequence[str]) -> Any:
    """Return the data of a response; raises the Failure of its error code, or else of its HTTP status."""
    document = read_body(answer.body)
    code = refused_with(document)
    if code is not None:
        said = "" if echoes(code, sent) else code
        fault = binance_failure(said, Asked(name, region, egress), answer.status, answer.retry_after)
        if fault.code == Code.EXCHANGE_ERROR:
            log.warning("unlisted_error_code", endpoint=fault.endpoint, exchange_code=fault.exchange_code)
        raise fault
    if document is None or answer.status != OK:
        raise status_failure(answer.status, answer.retry_after)
    return document


def _public_of(name: str, parse: Callable[[bytes], Parsed], answer: Answer) -> Parsed:
    """Return the data of a public response; raises the Failure of its error code, or else of its status."""
    if answer.status == OK:
        return parse(answer.body)
    code = refused_with(read_body(answer.body))
    if code is None:
        raise status_failure(answer.status, answer.retry_after)
    raise binance_failure(code, Asked(name), answer.status, answer.retry_after)
