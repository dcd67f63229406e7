"""Key offers: signing keys that are born in the vault, with the steps to give one to an exchange."""

from datetime import datetime
from uuid import UUID

import msgspec
from litestar import Response, delete, get, post
from litestar.di import NamedDependency
from litestar.status_codes import HTTP_201_CREATED

from contracts.exchanges import EXCHANGES
from gateway.accounts.offers import Asking, Offers
from gateway.accounts.submission import check_offered_region, offered_exchange
from gateway.http.allowances import rate_limit_fields
from gateway.http.answers import documented
from gateway.http.rate_limits import RATE_LIMIT
from gateway.http.situations import Doing
from gateway.routes.parameters import Egress, SignedInRequest, client_address
from gateway.rows.offers import Offer

TAG = ["accounts"]


class MakeOffer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The exchange of a key offer, which has a born kind of key in GET /api/v1/exchanges, and the region."""

    exchange: str
    region: str


class OfferView(msgspec.Struct, frozen=True):
    """A key offer: a signing key that was born in our vault and never leaves it.

    Give the exchange its `public_key`, as the `steps` say, before `expires_at`. Then connect the account with
    the API key that the exchange shows, and with this `offer`. If `egress_addresses` are listed, bind the key
    to them. `fingerprint` is the SHA-256 of the public key, with which the operator compares the vault.
    """

    offer: UUID
    exchange: str
    region: str
    kind: str
    public_key: str
    fingerprint: str
    created_at: datetime
    expires_at: datetime
    steps: tuple[str, ...]
    egress_addresses: tuple[str, ...]


@post(
    "/key-offers",
    response_headers=RATE_LIMIT,
    responses=documented(401, 409, 422, 429, 502),
    tags=TAG,
    situation=Doing.OFFER_KEY,
)
async def make_offer(
    data: MakeOffer, request: SignedInRequest, offers: NamedDependency[Offers], egress: Egress
) -> Response[OfferView]:
    """Have a signing key made in the vault, whose public half you give the exchange."""
    exchange = offered_exchange(data.exchange)
    check_offered_region(exchange, data.region)
    asking = Asking(request.user.id, client_address(request))
    made = await offers.make(asking, exchange, data.region)
    view = _view(made.offer, egress)
    return Response(view, status_code=HTTP_201_CREATED, headers=rate_limit_fields(made.allowances))


@get("/key-offers", responses=documented(401), tags=TAG)
async def list_offers(
    request: SignedInRequest, offers: NamedDependency[Offers], egress: Egress
) -> tuple[OfferView, ...]:
    """List your open key offers, oldest first."""
    return tuple(_view(offer, egress) for offer in await offers.list_open(request.user.id))


@get("/key-offers/{offer_id:uuid}", responses=documented(401, 404, 410), tags=TAG)
async def show_offer(
    offer_id: UUID, request: SignedInRequest, offers: NamedDependency[Offers], egress: Egress
) -> OfferView:
    """Show an open key offer."""
    return _view(await offers.find(request.user.id, offer_id), egress)


@delete(
    "/key-offers/{offer_id:uuid}",
    responses=documented(401, 404, 409, 410, 429),
    tags=TAG,
    situation=Doing.END_OFFER,
)
async def end_offer(offer_id: UUID, request: SignedInRequest, offers: NamedDependency[Offers]) -> None:
    """Give up an open key offer; its key is destroyed as soon as the vault is reachable."""
    await offers.give_up(request.user.id, offer_id)


def _view(offer: Offer, egress: tuple[str, ...]) -> OfferView:
    kind = EXCHANGES[offer.exchange].kind(offer.kind)
    return OfferView(
        offer=offer.id,
        exchange=offer.exchange,
        region=offer.region,
        kind=offer.kind,
        public_key=offer.public_key or "",
        fingerprint=offer.fingerprint or "",
        created_at=offer.created_at,
        expires_at=offer.expires_at,
        steps=() if kind is None else kind.steps,
        egress_addresses=egress,
    )
