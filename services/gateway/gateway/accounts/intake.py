"""Storing and verifying the keys that users submit, within limits."""

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chassis.bus.connection import Bus
from contracts.credentials import Verified
from contracts.faults import Code, Failure, PermanentError
from gateway.accounts.broker import Broker
from gateway.accounts.credentials import check_read_only
from gateway.accounts.destroyer import Destroyer
from gateway.accounts.pending import DOOM_SECONDS, Pending, Submission, pending
from gateway.accounts.verify import Asked, verify
from gateway.advice import Advice
from gateway.errors import Faulted, VaultNotTrusted
from gateway.limits import Allowance, Charge, Limits, client_network
from gateway.places import Places
from gateway.rows.accounts import Account
from gateway.store import pauses
from gateway.store.pool import Connection, DatabaseUnavailable, Pool


class Admission(msgspec.Struct, frozen=True):
    """How often a user and a client address may submit keys, and how many a gateway handles at once.

    Repairing an account does not count for the address, so other users there can not block it.
    """

    limits: Limits
    at_once: int

    def charges(self, user_id: UUID) -> list[Charge]:
        """Return the charges of a submission for its user."""
        return [(policy, str(user_id)) for policy in self.limits.submissions]

    def charges_of_address(self, address: str | None) -> list[Charge]:
        """Return the charges of connecting an account for the client's address."""
        return [(self.limits.address_submissions, client_network(address))]


class Accepted(msgspec.Struct, frozen=True):
    """An account with its new credential, and the rest of the user's limits."""

    account: Account
    allowances: tuple[Allowance, ...]


class Intake:
    """Stores and verifies submitted keys; refused keys are destroyed."""

    def __init__(  # noqa: PLR0913 - its dependencies
        self,
        pool: Pool,
        bus: Bus,
        broker: Broker,
        destroyer: Destroyer,
        key: Ed25519PrivateKey,
        *,
        admission: Admission,
    ) -> None:
        self.pool = pool
        self.destroyer = destroyer
        self.admission = admission
        self._bus = bus
        self._broker = broker
        self._key = key
        self._places = Places(admission.at_once)

    def place(self, user_id: UUID) -> AbstractContextManager[None]:
        """Hold a slot for a user's submission; raises TooBusy."""
        return self._places.taken(str(user_id))

    @asynccontextmanager
    async def verified(self, submission: Submission) -> AsyncIterator[tuple[Pending, Verified]]:
        """Store and verify a key; at exit it is doomed unless an account keeps it.

        If the vault's keys changed meanwhile, the key is stored once more under a new id. Raises Faulted and
        VaultNotTrusted.
        """
        for again in (True, False):
            async with self._told(submission), pending(self.pool, self.destroyer, submission) as credential:
                try:
                    await self._store(credential, submission)
                except Failure as failure:
                    if failure.code != Code.KEYS_CHANGED or not again:
                        raise
                    credential.code = failure.code
                    continue
                asked = Asked(credential.id, submission.exchange.key, submission.region)
                verified = await verify(self._bus, self._key, asked, credential.begun)
                check_read_only(submission.exchange, verified, await self.advice(submission))
                yield credential, verified
                return

    async def advice(self, submission: Submission) -> Advice:
        """Return the advice for the account's present state; the given one if the database is unavailable."""
        if submission.account_id is None:
            return submission.advice
        try:
            async with self.pool.transaction(DOOM_SECONDS) as connection:
                return await as_it_stands(connection, submission.advice, submission.account_id)
        except DatabaseUnavailable:
            return submission.advice

    @asynccontextmanager
    async def _told(self, submission: Submission) -> AsyncIterator[None]:
        """Reword failures for the account's present state; raises Faulted and VaultNotTrusted."""
        try:
            yield
        except Failure as failure:
            raise Faulted(failure, await self.advice(submission)) from None
        except VaultNotTrusted as error:
            happened = (await self.advice(submission)).became(stored=False)
            raise VaultNotTrusted(f"{error.detail} {happened}") from None

    async def _store(self, credential: Pending, submission: Submission) -> None:
        credential.handed_over = True
        try:
            await self._broker.store(
                credential.id,
                submission.exchange,
                submission.fields,
                credential.begun,
                kind=submission.kind,
                offer=submission.offer.id if submission.offer else None,
            )
        except PermanentError:
            credential.handed_over = False
            raise
        credential.handed_over = False


async def as_it_stands(connection: Connection, advice: Advice, account_id: UUID) -> Advice:
    """Return the advice for an account's present state."""
    stand = (await pauses.find_stands(connection, [account_id]))[account_id]
    return msgspec.structs.replace(advice, standing=stand.standing)
