"""A restore knows key offers: no key of an account is an orphan, and an offer without its key ends."""

from uuid import UUID, uuid4

import pytest

from deploy.backup.settle import Restored, credentials_of, settle
from deploy.database.roles import Connection
from deploy.local.postgres import SUPERUSER, Postgres

ENDED = "select id from key_offers where ended_at is not null"
MISSING = "select id from accounts where last_error_code = 'credential_missing'"


async def connected(connection: Connection) -> tuple[UUID, UUID, UUID]:
    """Insert an account with a born key; return its credential, its offer and an open offer."""
    user, credential, taken, waiting = (uuid4() for _ in range(4))
    await connection.execute(
        "insert into users (id, email, password_hash) values (%s, %s, 'x')", [user, str(user)]
    )
    await connection.execute(
        "insert into credentials (id, user_id, exchange, state) values (%s, %s, 'binance', 'live')",
        [credential, user],
    )
    await connection.execute(
        """insert into accounts (id, user_id, exchange, region, name, credential_id, exchange_uid, master_uid,
                                 permissions, ip_bound, api_key_hint)
           values (gen_random_uuid(), %s, 'binance', 'global', 'one', %s, '1', '1', '{}', false, '')""",
        [user, credential],
    )
    for offer, owner in ((taken, credential), (waiting, None)):
        await connection.execute(
            """insert into key_offers (id, user_id, exchange, region, kind, expires_at, credential_id)
               values (%s, %s, 'binance', 'global', 'born', now() + interval '1 hour', %s)""",
            [offer, user, owner],
        )
    return credential, taken, waiting


@pytest.mark.parametrize(
    ("lost", "missing", "ended"), [(None, 0, False), ("taken", 1, False), ("waiting", 0, True)]
)
async def test_an_offer_without_its_key_in_the_vault_is_settled(
    clean_database: Postgres, lost: str | None, missing: int, *, ended: bool
) -> None:
    """An account needs its key again, an open offer ends; with all keys nothing changes."""
    async with await clean_database.connect(SUPERUSER) as connection:
        credential, taken, waiting = await connected(connection)
        assert await credentials_of(connection) == {credential, taken, waiting}
        named = {"taken": taken, "waiting": waiting}
        held = {credential, *(each for name, each in named.items() if name != lost)}

        assert await settle(connection, Restored(None, None), list(held)) == missing

        assert len(await (await connection.execute(MISSING)).fetchall()) == missing
        assert await (await connection.execute(ENDED)).fetchall() == ([(waiting,)] if ended else [])
