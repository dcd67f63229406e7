"""The toy exchange: reads its wallets, one of them in pages."""

from collections.abc import Collection
from typing import Any

import msgspec

from contracts.credentials import SignedRead, Verified
from contracts.exchanges import EXCHANGES
from contracts.exchanges.types import Read
from contracts.faults import Code, Failure, failure
from contracts.prices import PricesRead, PricesRequested
from contracts.syncs import Rights, WalletRead
from contracts.values import Balance, Secret, parse_amount
from sync_worker.broker import Access
from sync_worker.errors import UnexpectedResponse
from sync_worker.exchanges.http import Answer
from sync_worker.exchanges.signed import Dialect, Parts, Reader
from sync_worker.sync import Reading
from sync_worker.verdicts import Fetched, Listed, judge, parsed

KEY, SAVINGS = Read("key"), Read("savings", body={"unit": "coin"})
MAX_PAGES = 5
REFUSALS = {"unknown": Code.KEY_UNKNOWN, "signature": Code.SIGNATURE_REJECTED, "pin": Code.PASSPHRASE_WRONG}


class _Page(msgspec.Struct):
    coins: dict[str, str]
    next: str = ""


class _Key(msgspec.Struct):
    owner: str
    rights: tuple[str, ...]


def connect(parts: Parts) -> "Toy":
    """Return the connector."""
    return Toy(parts)


class Toy:
    """Reads toy accounts."""

    exchange = EXCHANGES["toy"]

    def __init__(self, parts: Parts) -> None:
        dialect = Dialect(SignedRead("time", "GET", "/v1/time", {}), int, _data)
        self._reader = Reader(parts, self.exchange, dialect)

    async def read_wallets(self, access: Access) -> Reading:
        """Read the first pages and the key concurrently, then the further pages."""
        key, savings, spot = await self._reader.read(access, (KEY, SAVINGS, Read("spot")))
        wallets = (await self._spot(access, spot), judge("savings", _listed, savings, None))
        rights = parsed(_key, key)
        return Reading(wallets, rights=Rights(rights.owner, rights.rights))

    async def verify(self, access: Access) -> Verified:
        """Read the owner of the key."""
        rights = await self.read_rights(access)
        return Verified(rights.exchange_uid, rights.exchange_uid, rights.permissions, ())

    async def read_rights(self, access: Access) -> Rights:
        """Read the owner and the rights of the key."""
        (key,) = await self._reader.read(access, (KEY,))
        told = parsed(_key, key)
        return Rights(told.owner, told.rights)

    async def read_prices(self, request: PricesRequested, seconds: float) -> PricesRead:
        """Refuse, because the entry has no reads of prices."""
        del request, seconds
        raise failure(Code.NOT_AVAILABLE)

    async def _spot(self, access: Access, first: Fetched | Failure) -> WalletRead:
        """Follow the cursor; the list counts only if complete."""
        if isinstance(first, Failure):
            return judge("spot", _listed, first, None)
        page, coins = _page(first.data), {}
        for _ in range(MAX_PAGES):
            coins.update(page.coins)
            if not page.next:
                return judge("spot", _listed, msgspec.structs.replace(first, data={"coins": coins}), None)
            (fetched,) = await self._reader.read(access, (Read("spot", {"cursor": page.next}),))
            if isinstance(fetched, Failure):
                return judge("spot", _listed, fetched, None)
            page = _page(fetched.data)
        return judge("spot", _listed, UnexpectedResponse("The list has no end."), None)


def _data(answer: Answer, _name: str, _region: str, _sent: Collection[Secret]) -> Any:
    body = msgspec.json.decode(answer.body)
    if answer.status != 200:
        raise failure(REFUSALS.get(body["error"], Code.EXCHANGE_ERROR))
    return body["data"]


def _page(data: Any) -> _Page:
    return msgspec.convert(data, _Page)


def _key(data: Any) -> _Key:
    return msgspec.convert(data, _Key)


def _listed(data: Any) -> Listed:
    return Listed(tuple(Balance(coin, parse_amount(total)) for coin, total in _page(data).coins.items()))
