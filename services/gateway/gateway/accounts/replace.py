"""Replacing the key of an account with another key of the same exchange account."""

from uuid import UUID

from contracts.credentials import Verified
from contracts.faults import FAULTS, Code
from contracts.remedies import ROUTES, Situation
from gateway.accounts.connect import connected, keep_key, set_live
from gateway.accounts.intake import Accepted, Intake, as_it_stands
from gateway.accounts.pause import resume
from gateway.accounts.pending import Submission
from gateway.advice import Advice
from gateway.errors import DifferentAccount, NotFound
from gateway.operators.venues import require_running
from gateway.quotas import admit
from gateway.rows.accounts import Account
from gateway.store import accounts, audit, credentials, syncs
from gateway.store.audit import Action
from gateway.store.pool import Connection


async def replace(intake: Intake, submission: Submission, account: Account) -> Accepted:
    """Replace the key of an account; the old key stays in use until the new one is verified.

    Raises ExchangePaused, RateLimitExceeded, TooBusy, Faulted, VaultNotTrusted, DifferentAccount,
    TooSlow, and NotFound if the account was deleted meanwhile.
    """
    with intake.place(submission.user_id):
        async with intake.pool.transaction() as connection:
            await require_running(connection, account.exchange)
            allowances = await admit(connection, intake.admission.charges(submission.user_id))
        async with intake.verified(submission) as (credential, verified):
            if verified.exchange_uid != account.exchange_uid:
                raise _different_account(await intake.advice(submission))
            async with intake.pool.transaction() as connection:
                stored = await _swap(connection, submission, account, credential.id, verified)
            credential.keep()
        intake.destroyer.wake()
    return Accepted(stored, allowances)


async def _swap(
    connection: Connection, submission: Submission, account: Account, credential_id: UUID, verified: Verified
) -> Account:
    current = await accounts.lock_account(connection, account.id)
    if current is None or current.credential_id is None:
        fault = FAULTS[Code.ACCOUNT_DELETED]
        offered = submission.offer is not None
        raise NotFound(f"{fault.words} {fault.next_action(Situation.REPLACE, offered=offered)}")
    await set_live(connection, credential_id, await as_it_stands(connection, submission.advice, account.id))
    await keep_key(connection, submission, credential_id, verified)
    replaced = connected(account.id, submission, current.name, credential_id, verified)
    stored = await accounts.replace_credential(connection, replaced)
    await _let_go(connection, current, current.credential_id)
    await audit.record(
        connection, Action.CREDENTIAL_REPLACED, account.user_id, account.id, credential_id=str(credential_id)
    )
    return stored


async def _let_go(connection: Connection, account: Account, old: UUID) -> None:
    """End the pause of a locked account and doom its old credential."""
    # Open syncs, also of its sub-accounts, have a grant for the old credential.
    needed_until = await syncs.granted_until(connection, account.id)
    pause = await resume(connection, account)
    if pause is not None and pause.is_stand_in(old):
        await credentials.delete_stand_in(connection, old)
    else:
        await credentials.doom(connection, old, "live", needed_until)


def _different_account(advice: Advice) -> DifferentAccount:
    fault, action = FAULTS[Code.OTHER_ACCOUNT], advice.next_action(Code.OTHER_ACCOUNT)
    words = f"{fault.words} {action} To sync the other one, connect it {ROUTES[Situation.CONNECT]}."
    return DifferentAccount(words)
