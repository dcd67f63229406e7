"""The stored facts about the keys of credentials: their kinds, and the facts that exchanges state."""

from collections.abc import Mapping, Sequence
from datetime import MAXYEAR, MINYEAR, datetime
from uuid import UUID

from contracts.syncs import KeyFacts
from gateway.rows.offers import Key
from gateway.store.pool import Connection, execute, fetch_all


async def insert(
    connection: Connection, credential_id: UUID, kind: str, fingerprint: str | None, facts: KeyFacts
) -> None:
    """Insert the facts about the key of a credential that becomes an account's."""
    await execute(
        connection,
        """insert into credential_keys (credential_id, kind, fingerprint, created_at, expires_at, ip_bound)
           values (%(id)s, %(kind)s, %(fingerprint)s, %(created_at)s, %(expires_at)s, %(ip_bound)s)""",
        id=credential_id,
        kind=kind,
        fingerprint=fingerprint,
        created_at=_readable(facts.created_at),
        expires_at=_readable(facts.expires_at),
        ip_bound=facts.ip_bound,
    )


async def find(connection: Connection, account_ids: Sequence[UUID]) -> dict[UUID, Key]:
    """Find the facts about the keys of accounts, by account."""
    rows = await fetch_all(
        connection,
        Key,
        """select accounts.id as account_id, kind, fingerprint, credential_keys.created_at,
               credential_keys.expires_at, credential_keys.ip_bound
           from credential_keys join accounts on accounts.credential_id = credential_keys.credential_id
           where accounts.id = any(%(ids)s)""",
        ids=list(account_ids),
    )
    return {row.account_id: row for row in rows}


async def update(connection: Connection, told: Mapping[UUID, KeyFacts]) -> None:
    """Store the facts that syncs read about the keys of live credentials, if they are new."""
    listed = sorted(told.items())
    if not listed:
        return
    await execute(
        connection,
        """insert into credential_keys as kept (credential_id, created_at, expires_at, ip_bound)
           select told.id, told.created_at, told.expires_at, told.ip_bound
           from unnest(%(ids)s::uuid[], %(created)s::timestamptz[], %(expires)s::timestamptz[],
                       %(bound)s::boolean[]) as told (id, created_at, expires_at, ip_bound)
           join credentials on credentials.id = told.id and credentials.state = 'live'
           order by told.id
           on conflict (credential_id) do update
           set created_at = excluded.created_at, expires_at = excluded.expires_at,
               ip_bound = excluded.ip_bound
           where (kept.created_at, kept.expires_at, kept.ip_bound)
               is distinct from (excluded.created_at, excluded.expires_at, excluded.ip_bound)""",
        ids=[credential_id for credential_id, _ in listed],
        created=[_readable(facts.created_at) for _, facts in listed],
        expires=[_readable(facts.expires_at) for _, facts in listed],
        bound=[facts.ip_bound for _, facts in listed],
    )


def _readable(at: datetime | None) -> datetime | None:
    """Return a time; None for one that the database would keep and that we could not read in every zone."""
    return None if at is None or not MINYEAR < at.year < MAXYEAR else at
