"""Connecting an account: the key is stored and verified, then the account is inserted with it."""

from datetime import UTC, datetime
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from contracts.credentials import Verified
from contracts.faults import Code
from gateway.accounts.credentials import api_key_hint
from gateway.accounts.intake import Accepted, Intake
from gateway.accounts.names import checked_name
from gateway.accounts.pause import resume
from gateway.accounts.pending import Submission
from gateway.advice import Advice
from gateway.errors import AccountExists, NotSignedIn, TooManyAccounts, TooSlow
from gateway.limits import MAX_ACCOUNTS, Allowance
from gateway.operators.venues import require_running
from gateway.quotas import admit
from gateway.rows.accounts import Account
from gateway.store import accounts, audit, credentials, keys, offers, pauses, sub_accounts, users
from gateway.store.accounts import Duplicate
from gateway.store.audit import Action
from gateway.store.pool import Connection


async def connect(intake: Intake, submission: Submission, name: str) -> Accepted:
    """Connect an account after verifying its key; a refused key is destroyed.

    Raises InvalidInput, ExchangePaused, TooManyAccounts, RateLimitExceeded, TooBusy, Faulted,
    VaultNotTrusted, AccountExists, TooSlow, and NotSignedIn if the user was deleted meanwhile.
    """
    checked = checked_name(name)
    with intake.place(submission.user_id):
        allowances = await _admitted(intake, submission)
        async with intake.verified(submission) as (credential, verified):
            account = connected(uuid7(), submission, checked, credential.id, verified)
            async with intake.pool.transaction() as connection:
                stored = await _insert(connection, account, submission, credential.id, verified)
            credential.keep()
    return Accepted(stored, allowances)


async def _admitted(intake: Intake, submission: Submission) -> tuple[Allowance, ...]:
    """Count a submission before anything is sent to the vault or the exchange."""
    async with intake.pool.transaction() as connection:
        await require_running(connection, submission.exchange.key)
        await _check_number(connection, submission.user_id, submission.advice, stored=False)
        allowances = await admit(connection, intake.admission.charges(submission.user_id))
        await admit(connection, intake.admission.charges_of_address(submission.address))
    return allowances


async def _insert(
    connection: Connection, account: Account, submission: Submission, credential_id: UUID, verified: Verified
) -> Account:
    """Insert the account and make its credential live, or report the account that it duplicates."""
    if not await users.lock_user(connection, account.user_id):
        raise NotSignedIn
    await _check_number(connection, account.user_id, submission.advice)
    try:
        stored = await accounts.insert_account(connection, account)
    except Duplicate:
        stored = await _taken_over(connection, account, submission.advice)
    await set_live(connection, credential_id, submission.advice)
    await keep_key(connection, submission, credential_id, verified)
    await audit.record(
        connection, Action.ACCOUNT_CONNECTED, account.user_id, stored.id, credential_id=str(credential_id)
    )
    return stored


async def _taken_over(connection: Connection, account: Account, advice: Advice) -> Account:
    """Give the account of a sub-account, which its master lists, the key that it has of its own now.

    It keeps its id and its past. Raises AccountExists for any other account with this uid.
    """
    existing = await accounts.find_by_exchange_uid(
        connection, account.user_id, account.exchange, account.exchange_uid
    )
    held = None if existing is None else await accounts.lock_account(connection, existing.id)
    child = None if held is None else await sub_accounts.find_child(connection, held.id)
    if held is None or held.credential_id is None or child is None:
        raise await _duplicate(connection, account, advice)
    await resume(connection, held)
    stored = await accounts.take_over(connection, msgspec.structs.replace(account, id=held.id))
    await credentials.delete_stand_in(connection, held.credential_id)
    return stored


async def set_live(connection: Connection, credential_id: UUID, advice: Advice) -> None:
    """Make a pending credential live; raises TooSlow if it was doomed meanwhile."""
    if not await credentials.set_live(connection, credential_id):
        raise _too_slow(advice)


def _too_slow(advice: Advice) -> TooSlow:
    return TooSlow(f"We could not verify the key in time. {advice.next_action(Code.EXCHANGE_TIMEOUT)}")


async def keep_key(
    connection: Connection, submission: Submission, credential_id: UUID, verified: Verified
) -> None:
    """Keep the facts about the key of a live credential, and give its account the offer of a born key.

    Raises TooSlow if the claim of the offer has ended meanwhile.
    """
    offer = submission.offer
    if offer is not None and not await offers.take(connection, offer.id, credential_id):
        raise _too_slow(submission.advice)
    fingerprint = None if offer is None else offer.fingerprint
    await keys.insert(connection, credential_id, submission.kind.key, fingerprint, verified.key)


async def _check_number(
    connection: Connection, user_id: UUID, advice: Advice, *, stored: bool = True
) -> None:
    """Raise TooManyAccounts if the user has the maximum number; `stored` if the key reached the vault."""
    if await accounts.count_accounts(connection, user_id) >= MAX_ACCOUNTS:
        happened = advice.became(stored=stored)
        words = f"You have {MAX_ACCOUNTS} accounts, the most that a user may connect. {happened}"
        action = f"Delete an account, then submit the key again {advice.route()}."
        raise TooManyAccounts(f"{words} {action}")


def connected(
    account_id: UUID, submission: Submission, name: str, credential_id: UUID, verified: Verified
) -> Account:
    """Return an account as it is with a verified credential."""
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
        ip_bound=bool(verified.bound_addresses) if verified.key.ip_bound is None else verified.key.ip_bound,
        api_key_hint=api_key_hint(submission.kind, submission.fields),
        created_at=datetime.now(UTC),
        deleted_at=None,
        last_synced_at=None,
        last_attempt_at=None,
        last_error_code=None,
    )


async def _duplicate(connection: Connection, account: Account, advice: Advice) -> AccountExists:
    """Return AccountExists with the id of the connected account, unless it was deleted just now."""
    existing = await accounts.find_by_exchange_uid(
        connection, account.user_id, account.exchange, account.exchange_uid
    )
    if existing is None:
        action = f"{advice.became()} Submit the key again {advice.route()}."
        return AccountExists(f"This account of the exchange was connected until a moment ago. {action}")
    paused = existing.id in await pauses.find(connection, [existing.id])
    there = "It is paused: give" if paused else "Use the account that is there, or give"
    offer = " and the same `offer`" if advice.offered else ""
    words = (
        f"This account of the exchange is connected already. {advice.became()} {there} it this key with PUT "
        f"/api/v1/accounts/{existing.id}/credentials{offer}."
    )
    return AccountExists(words, account_id=str(existing.id))
