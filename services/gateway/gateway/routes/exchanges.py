"""The exchanges that can be connected."""

import msgspec
from litestar import get

from contracts.exchanges import EXCHANGES
from contracts.exchanges.types import CredentialField, Exchange, UnservedRegion, Wallet
from gateway.http.answers import documented
from gateway.http.authentication import PUBLIC
from gateway.routes.parameters import Egress


class RegionView(msgspec.Struct, frozen=True):
    """A region where an account can be registered."""

    key: str
    name: str


class ExchangeView(msgspec.Struct, frozen=True):
    """An exchange; if `egress_addresses` are listed, put them on the IP allow-list of the key.

    Accounts registered in one of the `unserved_regions` can not be connected.
    """

    key: str
    name: str
    regions: tuple[RegionView, ...]
    credential_fields: tuple[CredentialField, ...]
    wallets: tuple[Wallet, ...]
    permissions: tuple[str, ...]
    egress_addresses: tuple[str, ...]
    unserved_regions: tuple[UnservedRegion, ...]


@get("/exchanges", responses=documented(), tags=["exchanges"], opt=PUBLIC)
async def list_exchanges(egress: Egress) -> tuple[ExchangeView, ...]:
    """List the exchanges with their regions, credential fields and wallets."""
    return tuple(_view(exchange, egress) for exchange in EXCHANGES.values())


def _view(exchange: Exchange, egress: tuple[str, ...]) -> ExchangeView:
    return ExchangeView(
        key=exchange.key,
        name=exchange.name,
        regions=tuple(RegionView(region.key, region.name) for region in exchange.regions),
        credential_fields=exchange.credential_fields,
        wallets=exchange.wallets,
        permissions=tuple(sorted(exchange.read_only_permissions)),
        egress_addresses=egress,
        unserved_regions=exchange.unserved_regions,
    )
