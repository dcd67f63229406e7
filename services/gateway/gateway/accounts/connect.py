"""The life of a credential: submitted, stored, verified, then live for an account, or doomed."""

from datetime import UTC, datetime
from http import HTTPStatus
from uuid import UUID

import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from uuid_utils.compat import uuid7

from chassis.bus.connection import Bus
from contracts.credentials import Fields
from contracts.events import Verified
from contracts.exchanges.types import Exchange
from contracts.faults import FAULTS, Code, Failure, PermanentError
from contracts.remedies import DELETED, NOT_STORED, ROUTES, Situation, became
from gateway.accounts.broker import Vault
from gateway.accounts.credentials import api_key_hint, check_read_only
from gateway.accounts.destroyer import Destroyer
from gateway.accounts.pause import resume
from gateway.accounts.verify import Asked, verify
from gateway.advice import Advice
from gateway.http.problems import Problem, not_found, problem_of, service_unavailable, unauthorized
from gateway.identity.throttle import admit
from gateway.limits import Allowance, Charge, Limits, client_network
from gateway.places import Places
from gateway.store import accounts, audit, credentials, pauses, syncs, users
from gateway.store.accounts import Account, Duplicate
from gateway.store.audit import Action
from gateway.store.clock import DatabaseTime
from gateway.store.pool import Connection, DatabaseUnavailable, Pool

DOOM_SECONDS = 1.0
MAX_ACCOUNTS = 100

log = structlog.get_logger()


class Submission(msgspec.Struct, frozen=True):
    """A credential as a user submits it, where it is from, and what its user is told to do about faults.

    `account_id` is the account whose key it is to replace; None where one is to be connected.
    """

    user_id: UUID
    exchange: Exchange
    region: str
    fields: Fields
    address: str | None
    advice: Advice
    account_id: UUID | None = None


class Admission(msgspec.Struct, frozen=True):
    """How often a user, and a client address, may submit a key, and how many a gateway takes on at once.

    Whoever has an account and repairs it is not refused for others at the same address.
    """

    limits: Limits
    at_once: int

    def charges(self, user_id: UUID) -> list[Charge]:
        """Give what a submission is charged for its user."""
        return [(policy, str(user_id)) for policy in self.limits.submissions]

    def charges_of_address(self, address: str | None) -> list[Charge]:
        """Give what connecting an account is charged for the client's address."""
        return [(self.limits.address_submissions, client_network(address))]


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
            allowances = await admit(connection, self._admission.charges(submission.user_id))
            if adding:
                await admit(connection, self._admission.charges_of_address(submission.address))
        return allowances

    async def _connect(self, submission: Submission, name: str) -> Account:
        credential_id, verified = await self._accepted(submission)
        account = _account(uuid7(), submission, name, credential_id, verified)
        try:
            return await self._insert(account, credential_id, submission.advice)
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
            check_read_only(submission.exchange, verified, await self._advice(submission))
        except Failure as failure:
            await self._doom(credential_id, submission, failure.code)
            raise problem_of(failure, await self._advice(submission)) from None
        except Problem as problem:
            await self._doom(credential_id, submission, problem.code)
            raise
        except BaseException:
            await self._doom(credential_id, submission)
            raise
        return credential_id, verified

    async def _stored(self, submission: Submission) -> tuple[UUID, DatabaseTime]:
        """Store a credential; gives its id and when that began, by the database's clock. Raises Problem."""
        try:
            return await self._store_or_again(submission)
        except Failure as failure:
            raise problem_of(failure, await self._advice(submission)) from None
        except Problem as problem:
            advice = await self._advice(submission)
            happened = became(advice.situation, advice.standing, stored=False)
            problem.detail = f"{problem.detail} {happened}"
            raise

    async def _store_or_again(self, submission: Submission) -> tuple[UUID, DatabaseTime]:
        """Store a credential; once more, under a new id, when the vault's keys changed meanwhile."""
        try:
            return await self._store(submission)
        except Failure as failure:
            if failure.code != Code.KEYS_CHANGED:
                raise
        return await self._store(submission)

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
        try:
            await self._vault.store(credential_id, submission.exchange, submission.fields, begun)
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

    async def _insert(self, account: Account, credential_id: UUID, advice: Advice) -> Account:
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
                raise await _duplicate(connection, existing) from None
            if not await credentials.set_live(connection, credential_id):
                raise _too_slow(advice)
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
            raise _different_account(await self._advice(submission))
        async with self._pool.transaction() as connection:
            current = await accounts.lock_account(connection, account.id)
            if current is None or current.credential_id is None:
                raise _deleted_meanwhile()
            if not await credentials.set_live(connection, credential_id):
                raise _too_slow(await _as_it_stands(connection, submission.advice, account.id))
            replaced = _account(account.id, submission, current.name, credential_id, verified)
            stored = await accounts.replace_credential(connection, replaced)
            await _let_go(connection, current, current.credential_id)
            await audit.record(
                connection,
                Action.CREDENTIAL_REPLACED,
                user_id=account.user_id,
                subject=account.id,
                credential_id=str(credential_id),
            )
        self._destroyer.wake()
        return stored

    async def _advice(self, submission: Submission) -> Advice:
        """Give the advice for the account as it stands now; as it stood, when the database is away."""
        if submission.account_id is None:
            return submission.advice
        try:
            async with self._pool.transaction(DOOM_SECONDS) as connection:
                return await _as_it_stands(connection, submission.advice, submission.account_id)
        except DatabaseUnavailable:
            return submission.advice

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


async def _as_it_stands(connection: Connection, advice: Advice, account_id: UUID) -> Advice:
    """Give the advice for an account as it stands now."""
    stand = (await pauses.find_stands(connection, [account_id]))[account_id]
    return msgspec.structs.replace(advice, standing=stand.standing)


async def _let_go(connection: Connection, account: Account, old: UUID) -> None:
    """End the pause of an account, which is locked, with its old credential, and give that up."""
    # A sync that is open was granted the old credential.
    open_sync = await syncs.find_open(connection, account.id)
    needed_until = open_sync.deadline if open_sync else None
    pause = await resume(connection, account)
    if pause is not None and pause.is_stand_in(old):
        await credentials.delete_stand_in(connection, old)
    else:
        await credentials.doom(connection, old, "live", needed_until)


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
        api_key_hint=api_key_hint(submission.exchange, submission.fields),
        created_at=datetime.now(UTC),
        deleted_at=None,
        last_synced_at=None,
        last_attempt_at=None,
        last_error_code=None,
    )


async def _duplicate(connection: Connection, existing: Account | None) -> Problem:
    """Say that the account is connected; `account_id` names it. None is one that was deleted just now."""
    if existing is None:
        action = f"{DELETED[Situation.CONNECT]} Submit the key again {ROUTES[Situation.CONNECT]}."
        words = f"This account of the exchange was connected until a moment ago. {action}"
        return Problem(HTTPStatus.CONFLICT, "account_exists", words)
    paused = existing.id in await pauses.find(connection, [existing.id])
    there = "It is paused: give" if paused else "Use the account that is there, or give"
    words = (
        f"This account of the exchange is connected already. {DELETED[Situation.CONNECT]} {there} it this "
        f"key with PUT /api/v1/accounts/{existing.id}/credentials."
    )
    return Problem(HTTPStatus.CONFLICT, "account_exists", words, account_id=str(existing.id))


def _too_slow(advice: Advice) -> Problem:
    action = advice.next_action(Code.EXCHANGE_TIMEOUT)
    return service_unavailable("too_slow", f"We could not verify the key in time. {action}")


def _different_account(advice: Advice) -> Problem:
    fault, action = FAULTS[Code.OTHER_ACCOUNT], advice.next_action(Code.OTHER_ACCOUNT)
    words = f"{fault.words} {action} To sync the other one, connect it {ROUTES[Situation.CONNECT]}."
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "different_account", words)


def _deleted_meanwhile() -> Problem:
    problem, fault = not_found(), FAULTS[Code.ACCOUNT_DELETED]
    problem.detail = f"{fault.words} {fault.next_action(Situation.REPLACE)}"
    return problem
