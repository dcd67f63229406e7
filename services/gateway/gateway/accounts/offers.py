"""Key offers: a signing key is born in the vault, and the user gives its public half to an exchange."""

from uuid import UUID

import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from uuid_utils.compat import uuid7

from contracts.exchanges.types import Exchange
from contracts.faults import Failure
from contracts.wire.pinning import born_key_fingerprint
from gateway.accounts.broker import Broker
from gateway.accounts.claims import find_open
from gateway.accounts.destroyer import Destroyer
from gateway.accounts.intake import Admission
from gateway.accounts.submission import born_kind
from gateway.errors import Faulted, NotFound, NotSignedIn, OfferBusy, TooManyOffers
from gateway.limits import MAX_OFFERS, Allowance
from gateway.operators.venues import require_running
from gateway.quotas import admit
from gateway.rows.offers import Offer
from gateway.store import audit, offers, users
from gateway.store.audit import Action
from gateway.store.clock import DatabaseTime
from gateway.store.pool import DatabaseUnavailable, Pool, database_time

log = structlog.get_logger()


class Offered(msgspec.Struct, frozen=True):
    """A new offer, and the remaining quotas of the user."""

    offer: Offer
    allowances: tuple[Allowance, ...]


class Asking(msgspec.Struct, frozen=True):
    """The origin of a request for an offer: its user and the client's address."""

    user_id: UUID
    address: str | None


class Offers:
    """Makes offers within the limits of submitted keys, shows them, and ends them."""

    def __init__(self, pool: Pool, broker: Broker, destroyer: Destroyer, admission: Admission) -> None:
        self._pool = pool
        self._broker = broker
        self._destroyer = destroyer
        self._admission = admission

    async def make(self, asking: Asking, exchange: Exchange, region: str) -> Offered:
        """Make an offer; its row exists before the vault makes the key, so that none is left over.

        Raises InvalidInput for an exchange without a born kind, TooManyOffers, ExchangePaused,
        RateLimitExceeded and Faulted.
        """
        kind, offer_id = born_kind(exchange), uuid7()
        async with self._pool.transaction() as connection:
            await require_running(connection, exchange.key)
            if not await users.lock_user(connection, asking.user_id):
                raise NotSignedIn
            if await offers.count_open(connection, asking.user_id) >= MAX_OFFERS:
                raise TooManyOffers
            allowances = await admit(connection, self._admission.charges(asking.user_id))
            await admit(connection, self._admission.charges_of_address(asking.address))
            await offers.insert(
                connection, offer_id, asking.user_id, exchange=exchange.key, region=region, kind=kind.key
            )
            begun = DatabaseTime.just(await database_time(connection))
        try:
            made = await self._made(asking, offer_id, exchange.key, kind.key, begun)
        except BaseException:
            await self._end(offer_id)
            raise
        return Offered(made, allowances)

    async def list_open(self, user_id: UUID) -> list[Offer]:
        """List the open offers of a user, oldest first."""
        return await self._pool.single(lambda connection: offers.list_open(connection, user_id))

    async def find(self, user_id: UUID, offer_id: UUID) -> Offer:
        """Find an open offer of a user; raises NotFound and OfferOver."""
        async with self._pool.transaction() as connection:
            return await find_open(connection, user_id, offer_id)

    async def give_up(self, user_id: UUID, offer_id: UUID) -> None:
        """End an open offer of a user; raises NotFound, OfferOver and OfferBusy."""
        async with self._pool.transaction() as connection:
            await find_open(connection, user_id, offer_id)
            if not await offers.end(connection, offer_id):
                raise OfferBusy
            await audit.record(connection, Action.KEY_OFFER_ENDED, user_id, offer_id)
        self._destroyer.wake()

    async def _made(
        self, asking: Asking, offer_id: UUID, exchange: str, kind: str, begun: DatabaseTime
    ) -> Offer:
        try:
            raw = await self._broker.offer(offer_id, exchange, kind, begun)
        except Failure as failure:
            raise Faulted(failure) from None
        async with self._pool.transaction() as connection:
            made = await offers.set_public_key(connection, offer_id, pem_of(raw), born_key_fingerprint(raw))
            if made is None:  # its user was deleted meanwhile
                raise NotFound
            await audit.record(
                connection,
                Action.KEY_OFFERED,
                asking.user_id,
                offer_id,
                address=asking.address,
                exchange=exchange,
                fingerprint=made.fingerprint,
            )
        return made

    async def _end(self, offer_id: UUID) -> None:
        """End an offer that was not made; if the database is away, the sweep ends it after a minute."""
        try:
            async with self._pool.transaction() as connection:
                await offers.end(connection, offer_id)
        except DatabaseUnavailable as error:
            log.warning("offer_abandoned", offer_id=offer_id, reason=str(error))
        self._destroyer.wake()


def pem_of(raw: bytes) -> str:
    """Return a public Ed25519 key as PEM (SubjectPublicKeyInfo), the form that exchanges take."""
    key = Ed25519PublicKey.from_public_bytes(raw)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
