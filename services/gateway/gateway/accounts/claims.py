"""Open key offers: found, claimed by a connect in progress, or refused with a text."""

from uuid import UUID

from gateway.errors import NotFound, OfferBusy, OfferOver
from gateway.rows.offers import Offer
from gateway.store import offers
from gateway.store.pool import Connection

EXPIRED = (
    "This key offer has expired after an hour, and we destroy its key: no account was connected or changed "
    "with it. Delete the key that you made with it at the exchange, make a new offer with POST "
    "/api/v1/key-offers, and give the exchange its public key."
)
TAKEN = (
    "An account has the key of this offer already: look at GET /api/v1/accounts. An offer is for one "
    "account; for another one, make a new offer with POST /api/v1/key-offers."
)


async def find_open(connection: Connection, user_id: UUID, offer_id: UUID) -> Offer:
    """Find an open offer of a user; raises NotFound and OfferOver."""
    offer = await offers.find(connection, user_id, offer_id)
    if offer is None:
        raise NotFound
    if offer.taken:
        raise OfferOver(TAKEN)
    if offer.expired:
        raise OfferOver(EXPIRED)
    if offer.ended:  # given up by its user
        raise NotFound
    return offer


async def claim(connection: Connection, user_id: UUID, offer_id: UUID, credential_id: UUID) -> None:
    """Claim an offer for a pending credential; raises NotFound, OfferOver and OfferBusy."""
    await find_open(connection, user_id, offer_id)
    if not await offers.claim(connection, offer_id, credential_id):
        raise OfferBusy
