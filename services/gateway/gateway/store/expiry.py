"""Expired rows, by table: when they expire, and their deletion in batches."""

from typing import LiteralString

import msgspec

from gateway.limits import FREE_FAILURES
from gateway.store.pool import Connection, execute


class Expiry(msgspec.Struct, frozen=True):
    """The key columns of a table, and the condition for an expired row; `%(free)s` is FREE_FAILURES."""

    key: LiteralString
    expired: LiteralString


EXPIRIES: dict[LiteralString, Expiry] = {
    # Families whose last token has expired.
    "refresh_families": Expiry("id", "expires_at < now() - interval '1 day'"),
    "idempotency_keys": Expiry("user_id, key", "created_at < now() - interval '24 hours'"),
    # Offers that have ended, after their users had time to read why.
    "key_offers": Expiry("id", "ended_at < now() - interval '1 day'"),
    "sync_settlements": Expiry("sync_id", "settled_at < now() - interval '1 hour'"),
    "rate_limits": Expiry("policy, subject", "ends_at < now()"),
    # Failures without a delay expire an hour after the last one, others after a day.
    "login_failures": Expiry(
        "email_hash",
        "attempted_at < now() - interval '1 hour' "
        "and (failures <= %(free)s or attempted_at < now() - interval '1 day')",
    ),
    # Networks that were not used for 90 days.
    "drift": Expiry("account_id, wallet, sync_number", "at < now() - interval '90 days'"),
    "known_networks": Expiry("user_id, network_hash", "signed_in_at < now() - interval '90 days'"),
}


async def delete_expired(connection: Connection, limit: int, table: LiteralString) -> int:
    """Delete the expired rows of a table; returns how many, at most `limit`."""
    key, expired = EXPIRIES[table].key, EXPIRIES[table].expired
    query: LiteralString = (
        f"delete from {table} where ({key}) in "  # noqa: S608 - constants of this module
        f"(select {key} from {table} where {expired} limit %(limit)s for update skip locked)"
    )
    return await execute(connection, query, limit=limit, free=FREE_FAILURES)
