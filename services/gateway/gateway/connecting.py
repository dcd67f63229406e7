"""The life of a credential: submitted, stored, verified, then live for an account, or doomed."""

from datetime import UTC, datetime
from http import HTTPStatus
from uuid import UUID

import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from uuid_utils.compat import uuid7

from contracts.accounts import Verified
from contracts.bus.connect import Bus
from contracts.catalogue import Exchange
from contracts.faults import FAULTS, Code, Failure, PermanentError
from contracts.remedies import DELETED, NOT_STORED, ROUTES, Situation
from contracts.values import Secret
from contracts.vault import CredentialParts
from gateway.admitting import admit
from gateway.advice import Advice
from gateway.credentials import api_key_hint, check_read_only
from gateway.destroying import Destroyer
from gateway.errors import Problem, not_found, problem_of, service_unavailable, unauthorized
from gateway.limits import Allowance, Charge, Limits, client_network
from gateway.pausing import resume
from gateway.places import Places
from gateway.store import accounts, audit, credentials, syncs, users
from gateway.store.accounts import Account, Duplicate
from gateway.store.audit import Action
from gateway.store.clock import DatabaseTime
from gateway.store.pool import Connection, DatabaseUnavailable, Pool
from gateway.vault import Vault
from gateway.verifying import Asked, verify

DOOM_SECONDS = 1.0
MAX_ACCOUNTS = 100

log = structlog.get_logger()


class Submission(msgspec.Struct, frozen=True):
    """A credential as a user submits it, where it is from, and what its user is told to do about faults."""

    user_id: UUID
    exchange: Exchange
    region: str
    api_key: Secret
    api_secret: Secret
    passphrase: Secret
    address: str | None
    advice: Advice


class Admission(msgspec.Struct, frozen=True):
    """How often a user, and a client address, may submit a key, and how many a gateway takes on at once."""

    limits: Limits
    at_once: int

    def charges(self, user_id: UUID, address: str | None) -> list[Charge]:
        """Give what a submission is charged: the user's first."""
        network = client_network(address)
        own = [(policy, str(user_id)) for policy in self.limits.submissions]
        return own + [(policy, network) for policy in self.limits.address_submissions]


class Accepted(msgspec.Struct, frozen=True):
    """An account with its new credential, and what the user's limits still allow."""

    account: Account
    allowances: tuple[Allowance, ...]


class Connecting:
    """Connects accounts and replaces their credentials; nothing refused stays in the vault."""

    def __init__(  # noqa: PLR0913 - the parts that it works with
        self,
        pool: Pool,
        bus: Bus,
        vault: Vault,
        destroyer: Destroyer,
        key: Ed25519PrivateKey,
        *,
        admission: Admission,
    ) -> None:
        self._pool = pool
        self._bus = bus
        self._vault = vault
        self._destroyer = destroyer
        self._key = key
        self._admission = admission
        self._places = Places(admission.at_once)

    async def connect(self, submission: Submission, name: str) -> Accepted:
        """Connect an account after its key was verified.

        Raises Problem, after which nothing is left, and TooBusy.
        """
        with self._places.taken(str(submission.user_id)):
            allowances = await self._admitted(submission, adding=True)
            return Accepted(await self._connect(submission, name), allowances)

    async def replace(self, submission: Submission, account: Account) -> Accepted:
        """Put another key of the same account of the exchange in the place of the old one.

        Raises Problem and TooBusy.
        """
        with self._places.taken(str(submission.user_id)):
            allowances = await self._admitted(submission, adding=False)
            return Accepted(await self._replace(submission, account), allowances)

    async def _admitted(self, submission: Submission, *, adding: bool) -> tuple[Allowance, ...]:
        """Count a submission before the vault or the exchange hears of it; raises Problem."""
        async with self._pool.transaction() as connection:
            if adding:
                await _check_number(connection, submission.user_id, NOT_STORED[Situation.CONNECT])
            charges = self._admission.charges(submission.user_id, submission.address)
            allowances = await admit(connection, charges)
        return allowances[: len(self._admission.limits.submissions)]

    async def _connect(self, submission: Submission, name: str) -> Account:
        credential_id, verified = await self._accepted(submission)
        account = _account(uuid7(), submission, name, credential_id, verified)
        try:
            return await self._insert(account, credential_id)
        except BaseException:
            await self._doom(credential_id, submission)
            raise

    async def _replace(self, submission: Submission, account: Account) -> Account:
        credential_id, verified = await self._accepted(submission)
        try:
            return await self._swap(submission, account, credential_id, verified)
        except BaseException:
            await self._doom(credential_id, submission)
            raise

    async def _accepted(self, submission: Submission) -> tuple[UUID, Verified]:
        """Store and verify a credential; whatever fails, it is doomed. Raises Problem."""
        credential_id, begun = await self._stored(submission)
        try:
            verified = await self._verify(credential_id, submission, begun)
            check_read_only(submission.exchange, verified, submission.advice)
        except Failure as failure:
            await self._doom(credential_id, submission, failure.code)
            raise problem_of(failure, submission.advice) from None
        except Problem as problem:
            await self._doom(credential_id, submission, problem.code)
            raise
        except BaseException:
            await self._doom(credential_id, submission)
            raise
        return credential_id, verified

    async def _stored(self, submission: Submission) -> tuple[UUID, DatabaseTime]:
        """Store a credential; once more, under a new id, when the vault's keys changed meanwhile.

        Gives its id and when that was begun, by the database's clock.
        """
        try:
            return await self._store(submission)
        except Failure as failure:
            if failure.code != Code.KEYS_CHANGED:
                raise problem_of(failure, submission.advice) from None
        try:
            return await self._store(submission)
        except Failure as failure:
            raise problem_of(failure, submission.advice) from None

    async def _store(self, submission: Submission) -> tuple[UUID, DatabaseTime]:
        credential_id = uuid7()
        async with self._pool.transaction() as connection:
            begun = await credentials.insert_pending(
                connection, credential_id, submission.user_id, submission.exchange.key
            )
            await audit.record(
                connection,
                Action.CREDENTIAL_SUBMITTED,
                user_id=submission.user_id,
                subject=credential_id,
                address=submission.address,
                exchange=submission.exchange.key,
            )
        parts = CredentialParts(submission.api_key, submission.passphrase)
        try:
            await self._vault.store(
                credential_id, submission.exchange.key, submission.api_secret, parts, begun
            )
        except BaseException as error:
            refused = isinstance(error, PermanentError)
            code = error.code if isinstance(error, Failure) else None
            await self._doom(credential_id, submission, code, certain=refused)
            raise
        return credential_id, begun

    async def _verify(self, credential_id: UUID, submission: Submission, begun: DatabaseTime) -> Verified:
        """Have a worker read whose key it is and what it may do; raises Failure."""
        asked = Asked(credential_id, submission.exchange.key, submission.region)
        return await verify(self._bus, self._key, asked, begun)

    async def _insert(self, account: Account, credential_id: UUID) -> Account:
        """Insert the account and make its credential live, or say which account it duplicates."""
        async with self._pool.transaction() as connection:
            if not await users.lock_user(connection, account.user_id):
                raise unauthorized()
            await _check_number(connection, account.user_id, DELETED[Situation.CONNECT])
            try:
                stored = await accounts.insert_account(connection, account)
            except Duplicate:
                existing = await accounts.find_by_exchange_uid(
                    connection, account.user_id, account.exchange, account.exchange_uid
                )
                raise _duplicate(existing) from None
            if not await credentials.set_live(connection, credential_id):
                raise _too_slow(Situation.CONNECT)
            await audit.record(
                connection,
                Action.ACCOUNT_CONNECTED,
                user_id=account.user_id,
                subject=account.id,
                credential_id=str(credential_id),
            )
        return stored

    async def _swap(
        self, submission: Submission, account: Account, credential_id: UUID, verified: Verified
    ) -> Account:
        if verified.exchange_uid != account.exchange_uid:
            raise _different_account()
        async with self._pool.transaction() as connection:
            current = await accounts.lock_account(connection, account.id)
            if current is None or current.credential_id is None:
                raise _deleted_meanwhile()
            if not await credentials.set_live(connection, credential_id):
                raise _too_slow(Situation.REPLACE)
            replaced = _account(account.id, submission, current.name, credential_id, verified)
            stored = await accounts.replace_credential(connection, replaced)
            # A sync that is open was granted the old credential.
            open_sync = await syncs.find_open(connection, account.id)
            needed_until = open_sync.deadline if open_sync else None
            pause = await resume(connection, current)
            if pause is not None and pause.is_stand_in(current.credential_id):
                await credentials.delete_stand_in(connection, current.credential_id)
            else:
                await credentials.doom(connection, current.credential_id, "live", needed_until)
            await audit.record(
                connection,
                Action.CREDENTIAL_REPLACED,
                user_id=account.user_id,
                subject=account.id,
                credential_id=str(credential_id),
            )
        self._destroyer.wake()
        return stored

    async def _doom(
        self, credential_id: UUID, submission: Submission, code: str | None = None, *, certain: bool = True
    ) -> None:
        """Give up a credential that did not become an account's, even when that only seems so.

        Unless it is certain that the vault-broker is done with it, it is destroyed only when it must be. When
        the database is away the caller does not wait for it: the destroyer dooms what was abandoned.
        """
        try:
            async with self._pool.transaction(DOOM_SECONDS) as connection:
                if certain:
                    await credentials.doom(connection, credential_id, "pending")
                else:
                    await credentials.doom_uncertain(connection, credential_id)
                await audit.record(
                    connection,
                    Action.CREDENTIAL_REFUSED,
                    user_id=submission.user_id,
                    subject=credential_id,
                    address=submission.address,
                    error_code=code,
                )
        except DatabaseUnavailable as error:
            log.warning("credential_abandoned", credential_id=credential_id, reason=str(error))
        self._destroyer.wake()


async def _check_number(connection: Connection, user_id: UUID, happened: str) -> None:
    """Raise Problem when a user has as many accounts as there may be; `happened` tells of the key."""
    if await accounts.count_accounts(connection, user_id) >= MAX_ACCOUNTS:
        words = f"You have {MAX_ACCOUNTS} accounts, the most that a user may connect. {happened}"
        action = f"Delete an account, then submit the key again {ROUTES[Situation.CONNECT]}."
        raise Problem(HTTPStatus.CONFLICT, "too_many_accounts", f"{words} {action}")


def _account(
    account_id: UUID, submission: Submission, name: str, credential_id: UUID, verified: Verified
) -> Account:
    return Account(
        id=account_id,
        user_id=submission.user_id,
        exchange=submission.exchange.key,
        region=submission.region,
        name=name,
        credential_id=credential_id,
        exchange_uid=verified.exchange_uid,
        master_uid=verified.master_uid,
        permissions=verified.permissions,
        ip_bound=bool(verified.bound_addresses),
        api_key_hint=api_key_hint(submission.api_key),
        created_at=datetime.now(UTC),
        deleted_at=None,
        last_synced_at=None,
        last_attempt_at=None,
        last_error_code=None,
    )


def _duplicate(existing: Account | None) -> Problem:
    """Say that the account is connected; `account_id` names it."""
    account_id = str(existing.id) if existing else None
    words = (
        f"This account of the exchange is connected already. {DELETED[Situation.CONNECT]} Use the account "
        f"that is there, or give it this key with PUT /api/v1/accounts/{account_id}/credentials."
    )
    return Problem(HTTPStatus.CONFLICT, "account_exists", words, account_id=account_id)


def _too_slow(situation: Situation) -> Problem:
    action = FAULTS[Code.EXCHANGE_TIMEOUT].next_action(situation)
    return service_unavailable("too_slow", f"We could not verify the key in time. {action}")


def _different_account() -> Problem:
    fault = FAULTS[Code.OTHER_ACCOUNT]
    action = f"{fault.next_action(Situation.REPLACE)} To sync the other one, connect it with POST /accounts."
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "different_account", f"{fault.words} {action}")


def _deleted_meanwhile() -> Problem:
    problem, fault = not_found(), FAULTS[Code.ACCOUNT_DELETED]
    problem.detail = f"{fault.words} {fault.next_action(Situation.REPLACE)}"
    return problem
