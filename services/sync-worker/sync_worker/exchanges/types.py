"""The interface of the connector of every exchange."""

from typing import Protocol

from contracts.credentials import Verified
from contracts.exchanges.types import Exchange
from contracts.prices import PricesRead, PricesRequested
from contracts.syncs import Rights
from sync_worker.broker import Access
from sync_worker.closures.hearing import Maintenance
from sync_worker.sync import Reading


class Connector(Protocol):
    """Reads the accounts of one exchange."""

    exchange: Exchange

    async def read_wallets(self, access: Access) -> Reading:
        """Read every covered wallet and the rights of the key; raises Failure if no read could be sent."""

    async def verify(self, access: Access) -> Verified:
        """Read the owner and the rights of the key; raises Failure."""

    async def read_rights(self, access: Access) -> Rights:
        """Read only the account and the rights of the key; raises Failure."""

    async def read_prices(self, request: PricesRequested, seconds: float) -> PricesRead:
        """Read the public lists of prices; only asked of an exchange whose entry has `price_reads`."""

    async def read_status(self, region: str, seconds: float) -> Maintenance | None:
        """Read the maintenance that is under way; only asked of an exchange whose entry has `status_read`.

        Raises Failure.
        """
