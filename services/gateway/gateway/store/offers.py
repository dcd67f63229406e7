"""Key offers: made, claimed by a connect in progress, taken by an account, or ended.

When an offer ends, a doomed credential with its id takes its place: the destroyer deletes the key of the
offer in the vault as it deletes the key of any credential.
"""

from typing import LiteralString
from uuid import UUID

from gateway.rows.offers import Offer
from gateway.store.credentials import STORED_WITHIN_SECONDS
from gateway.store.pool import Connection, execute, fetch_all, fetch_one, fetch_value

OPEN_FOR = "1 hour"
# Longer than a connect takes: the claim of a gateway that died ends by itself.
CLAIM_SECONDS = 90.0
# Longer than a gateway waits for the public key of an offer.
UNANSWERED_SECONDS = 60.0
_COLUMNS: LiteralString = """id, user_id, exchange, region, kind, public_key, fingerprint, created_at,
    expires_at, now() as now, coalesce(claimed_until > now(), false) as claimed,
    credential_id is not null as taken, ended_at is not null as ended"""
_WAITING: LiteralString = "ended_at is null and credential_id is null"
_OPEN: LiteralString = f"{_WAITING} and expires_at > now()"
_UNCLAIMED: LiteralString = "(claimed_until is null or claimed_until <= now())"


async def count_open(connection: Connection, user_id: UUID) -> int:
    """Count the open offers of a user, also offers that have no public key yet."""
    number: int = await fetch_value(
        connection,
        f"select count(*) from key_offers where user_id = %(user_id)s and {_OPEN}",  # noqa: S608 - constants
        user_id=user_id,
    )
    return number


async def insert(  # noqa: PLR0913 - its columns
    connection: Connection, offer_id: UUID, user_id: UUID, *, exchange: str, region: str, kind: str
) -> None:
    """Insert an offer before its key is asked for."""
    await execute(
        connection,
        """insert into key_offers (id, user_id, exchange, region, kind, expires_at)
           values (%(id)s, %(user_id)s, %(exchange)s, %(region)s, %(kind)s, now() + %(life)s::interval)""",
        id=offer_id,
        user_id=user_id,
        exchange=exchange,
        region=region,
        kind=kind,
        life=OPEN_FOR,
    )


async def set_public_key(
    connection: Connection, offer_id: UUID, public_key: str, fingerprint: str
) -> Offer | None:
    """Set the public key of an open offer; None if the offer ended meanwhile."""
    return await fetch_one(
        connection,
        Offer,
        f"""update key_offers set public_key = %(public_key)s, fingerprint = %(fingerprint)s
            where id = %(id)s and {_OPEN} returning {_COLUMNS}""",  # noqa: S608 - constants
        id=offer_id,
        public_key=public_key,
        fingerprint=fingerprint,
    )


async def list_open(connection: Connection, user_id: UUID) -> list[Offer]:
    """List the open offers of a user, oldest first."""
    return await fetch_all(
        connection,
        Offer,
        f"""select {_COLUMNS} from key_offers
            where user_id = %(user_id)s and {_OPEN} and public_key is not null
            order by id""",  # noqa: S608 - constants
        user_id=user_id,
    )


async def find(connection: Connection, user_id: UUID, offer_id: UUID) -> Offer | None:
    """Find an offer of a user, also one that is not open any more."""
    return await fetch_one(
        connection,
        Offer,
        f"""select {_COLUMNS} from key_offers
            where id = %(id)s and user_id = %(user_id)s and public_key is not null""",  # noqa: S608 - constants
        id=offer_id,
        user_id=user_id,
    )


async def claim(connection: Connection, offer_id: UUID, credential_id: UUID) -> bool:
    """Claim an open offer for a pending credential; False if it is not open, or claimed by another."""
    return (
        await execute(
            connection,
            f"""update key_offers set claimed_by = %(credential)s,
                    claimed_until = now() + make_interval(secs => %(seconds)s)
                where id = %(id)s and {_OPEN} and {_UNCLAIMED}""",  # noqa: S608 - constants
            id=offer_id,
            credential=credential_id,
            seconds=CLAIM_SECONDS,
        )
        == 1
    )


async def release(connection: Connection, credential_id: UUID) -> None:
    """End the claim of a credential that did not become an account's."""
    await execute(
        connection,
        """update key_offers set claimed_by = null, claimed_until = null
           where claimed_by = %(id)s and credential_id is null""",
        id=credential_id,
    )


async def take(connection: Connection, offer_id: UUID, credential_id: UUID) -> bool:
    """Give an offer to the account of the credential that claimed it; False if the claim has ended."""
    return (
        await execute(
            connection,
            f"""update key_offers set credential_id = %(credential)s, claimed_by = null, claimed_until = null
                where id = %(id)s and claimed_by = %(credential)s and {_WAITING}""",  # noqa: S608 - constants
            id=offer_id,
            credential=credential_id,
        )
        == 1
    )


async def end(connection: Connection, offer_id: UUID) -> bool:
    """End an offer that no connect in progress uses; False if one does, or if it had ended."""
    return await _end(connection, f"id = %(id)s and {_UNCLAIMED}", 1, id=offer_id) == 1


async def end_all_of(connection: Connection, user_id: UUID) -> None:
    """End all offers of a user; a connect in progress then finds that its claim has ended."""
    await _end(connection, "user_id = %(user_id)s", None, user_id=user_id)


async def end_due(connection: Connection, limit: int) -> int:
    """End the offers that have expired, or whose gateway died before it had their key; returns how many."""
    due: LiteralString = f"""{_UNCLAIMED} and (expires_at <= now()
        or public_key is null and created_at < now() - make_interval(secs => %(unanswered)s))"""
    return await _end(connection, due, limit, unanswered=UNANSWERED_SECONDS)


async def _end(connection: Connection, which: LiteralString, limit: int | None, **values: object) -> int:
    """End offers, and doom their keys; not while a request for a key may still be under way."""
    query: LiteralString = f"""with ended as (
            update key_offers set ended_at = now(), claimed_by = null, claimed_until = null
            where id = any (array(
                select id from key_offers where {_WAITING} and {which} order by id limit %(limit)s
                for update skip locked))
            returning id, user_id, exchange, created_at)
        insert into credentials (id, user_id, exchange, state, destroy_at)
        select id, user_id, exchange, 'doomed',
            greatest(now(), created_at + make_interval(secs => %(late)s)) from ended
        on conflict (id) do nothing"""  # noqa: S608 - constants of this module
    return await execute(connection, query, limit=limit, late=STORED_WITHIN_SECONDS, **values)
