"""The append-only audit of accounts, credentials, syncs and logins."""

from enum import StrEnum
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from gateway.store.pool import Connection, execute


class Action(StrEnum):
    """The audited actions."""

    USER_REGISTERED = "user_registered"
    LOGIN_SUCCEEDED = "login_succeeded"
    LOGIN_FAILED = "login_failed"
    LOGGED_OUT = "logged_out"
    REFRESH_REUSED = "refresh_reused"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - the name of an event
    PASSWORD_REFUSED = "password_refused"  # noqa: S105 - the name of an event
    SESSION_ENDED = "session_ended"
    OTHER_SESSIONS_ENDED = "other_sessions_ended"
    USER_DELETED = "user_deleted"
    CREDENTIAL_SUBMITTED = "credential_submitted"
    CREDENTIAL_REFUSED = "credential_refused"
    CREDENTIAL_REPLACED = "credential_replaced"
    KEY_OFFERED = "key_offered"
    KEY_OFFER_ENDED = "key_offer_ended"
    SECRET_DESTROYED = "secret_destroyed"  # noqa: S105 - the name of an event
    ACCOUNT_CONNECTED = "account_connected"
    ACCOUNT_RENAMED = "account_renamed"
    ACCOUNT_SCHEDULED = "account_scheduled"
    ACCOUNT_DELETED = "account_deleted"
    SUB_ACCOUNTS_SET = "sub_accounts_set"
    ACCOUNT_PAUSED = "account_paused"
    ACCOUNT_RESUMED = "account_resumed"
    SECRET_GIVEN_UP = "secret_given_up"  # noqa: S105 - the same
    SYNC_REQUESTED = "sync_requested"
    SYNC_RECORDED = "sync_recorded"


async def record(
    connection: Connection,
    action: Action,
    user_id: UUID | None,
    subject: UUID | None = None,
    *,
    address: str | None = None,
    **detail: Any,
) -> None:
    """Write one event in the transaction of its change: the action of a user on a subject.

    `detail` never holds a credential or a balance.
    """
    await execute(
        connection,
        """insert into audit (user_id, action, subject, address, detail)
           values (%(user_id)s, %(action)s, %(subject)s, %(address)s, %(detail)s)""",
        user_id=user_id,
        action=action,
        subject=subject,
        address=address,
        detail=Jsonb(detail),
    )
