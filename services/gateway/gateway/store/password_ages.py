"""The times at which the passwords of the database's roles were made, as comments of the roles say them."""

from contextlib import suppress
from datetime import datetime

from chassis.metrics import note_key
from gateway.store.pool import DatabaseUnavailable, Pool

SAMPLE_SECONDS = 4.0
# What `deploy.database.roles` writes before the time.
NOTED = "password made "
_ROLES = """
select rolname, shobj_description(oid, 'pg_authid')
from pg_roles
where starts_with(shobj_description(oid, 'pg_authid'), %s)
order by rolname
limit 10
"""


async def note_passwords(pool: Pool) -> None:
    """Show the age of each password whose time is known."""
    with suppress(DatabaseUnavailable):  # the gateway's check of the database reports it
        async with pool.transaction(SAMPLE_SECONDS) as connection:
            found = await (await connection.execute(_ROLES, [NOTED])).fetchall()
        for role, text in found:
            with suppress(ValueError):
                note_key(f"password of {role}", datetime.fromisoformat(text.removeprefix(NOTED)))
