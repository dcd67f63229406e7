"""The exchanges that can be connected."""

from datetime import datetime

import msgspec
from litestar import get

from contracts.exchanges import EXCHANGES
from contracts.exchanges.keys import CredentialField
from contracts.exchanges.types import Exchange, UnservedRegion, Wallet
from gateway.http.answers import documented
from gateway.http.authentication import PUBLIC
from gateway.operators.venues import paused_since
from gateway.routes.parameters import Database, Egress


class RegionView(msgspec.Struct, frozen=True):
    """A region where an account can be registered."""

    key: str
    name: str


class KindView(msgspec.Struct, frozen=True):
    """One kind of key that an exchange accepts, with its fields and the steps to make one there.

    For a `born` kind, ask for an offer with POST /api/v1/key-offers first.
    """

    key: str
    name: str
    born: bool
    fields: tuple[CredentialField, ...]
    steps: tuple[str, ...]


class ExchangeView(msgspec.Struct, frozen=True):
    """An exchange; if `egress_addresses` are listed, put them on the IP allow-list of the key.

    Accounts registered in one of the `unserved_regions` can not be connected. `paused_since` is null, or when
    the operator of this service paused the exchange: then new syncs and keys get `exchange_paused`.
    `credential_kinds` are the kinds of keys that it accepts, the best one first; `credential_fields` are the
    fields of the first one that a user types.
    """

    key: str
    name: str
    regions: tuple[RegionView, ...]
    credential_kinds: tuple[KindView, ...]
    credential_fields: tuple[CredentialField, ...]
    wallets: tuple[Wallet, ...]
    permissions: tuple[str, ...]
    egress_addresses: tuple[str, ...]
    unserved_regions: tuple[UnservedRegion, ...]
    paused_since: datetime | None


@get("/exchanges", responses=documented(), tags=["exchanges"], opt=PUBLIC)
async def list_exchanges(egress: Egress, pool: Database) -> tuple[ExchangeView, ...]:
    """List the exchanges with their regions, credential fields and wallets."""
    paused = await paused_since(pool)
    return tuple(_view(exchange, egress, paused.get(exchange.key)) for exchange in EXCHANGES.values())


def _view(exchange: Exchange, egress: tuple[str, ...], paused: datetime | None) -> ExchangeView:
    return ExchangeView(
        key=exchange.key,
        name=exchange.name,
        regions=tuple(RegionView(region.key, region.name) for region in exchange.regions),
        credential_kinds=tuple(
            KindView(kind.key, kind.name, kind.born, kind.fields, kind.steps)
            for kind in exchange.credential_kinds
        ),
        credential_fields=exchange.typed[0].fields,
        wallets=exchange.wallets,
        permissions=tuple(sorted(exchange.read_only_permissions)),
        egress_addresses=egress,
        unserved_regions=exchange.unserved_regions,
        paused_since=paused,
    )
