"""An operator compares the public keys that users were shown with the keys of the vault."""

import asyncio
import os
import sys
from pathlib import Path
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from contracts.credentials import KeyOffered, Keys
from contracts.wire.pinning import born_key_fingerprint
from deploy.local.postgres import OWNER, SUPERUSER, Postgres
from deploy.private_files import write_private
from deploy.vault.born_keys import differing
from tests.vault_broker.conftest import Callers
from tests.vault_broker.vaults import OwnVault

OTHER = "the record of the account's credential names another key"
SECRET = "22582BD0CFF14C41EDBF1AB98506286D"


async def shown(database: Postgres, offer: UUID, fingerprint: str, credential: UUID | None = None) -> None:
    """Note that a user was shown a public key, and the credential of the account that took it."""
    async with await database.connect(SUPERUSER) as connection:
        await connection.execute(
            """with person as (insert into users (id, email, password_hash)
                               values (gen_random_uuid(), gen_random_uuid()::text, 'x') returning id)
               insert into key_offers (id, user_id, exchange, region, kind, public_key, fingerprint,
                                       expires_at, credential_id)
               select %s, id, 'binance', 'global', 'born', 'x', %s, now(), %s from person""",
            [offer, fingerprint, credential],
        )


async def compared(own_vault: OwnVault, database: Postgres, directory: Path) -> tuple[int | None, list[str]]:
    """Run the command with the operator's own token; return its status and its lines."""
    token = write_private(directory / "token", own_vault.client.headers["X-Vault-Token"].encode())
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.vault.born_keys", "--address", own_vault.url),
        *("--ca-file", str(own_vault.ca), "--token-file", str(token)),
        *("--database-url", database.url(OWNER)),
        *("--database-password-file", str(database.password_file(OWNER))),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={name: value for name, value in os.environ.items() if not name.startswith("VAULT_")},
    )
    out, _ = await process.communicate()
    return process.returncode, out.decode().splitlines()


@pytest.mark.usefixtures("clean_database")
async def test_each_key_that_differs_is_named(
    callers: Callers, own_vault: OwnVault, database: Postgres, tmp_path: Path
) -> None:
    """Right ones are counted; another key, none, a typed one, and an account with another are named."""
    asked = [callers.gateway.offering() for _ in range(3)]
    made = [await callers.gateway.offer(each) for each in asked]
    prints = [born_key_fingerprint(each.public_key) for each in made if isinstance(each, KeyOffered)]
    keys = await callers.gateway.keys()
    assert isinstance(keys, Keys)
    right = callers.gateway.trying(keys, offer=asked[0].offer_id)
    await callers.gateway.store(right)
    await shown(database, asked[0].offer_id, prints[0], right.credential_id)
    await shown(database, asked[1].offer_id, prints[1])
    assert await compared(own_vault, database, tmp_path) == (
        0,
        ["2 public keys were compared with the vault; 0 differ"],
    )
    typed, absent, elsewhere = await callers.gateway.stored(SECRET, "key", "words"), uuid7(), uuid7()
    async with await database.connect(SUPERUSER) as connection:
        await connection.execute(
            "update key_offers set fingerprint = %s where id = %s", [prints[0], asked[1].offer_id]
        )
    await shown(database, asked[2].offer_id, prints[2], elsewhere)
    await shown(database, typed, prints[0])
    await shown(database, absent, prints[0])

    status, lines = await compared(own_vault, database, tmp_path)

    assert status == 1
    assert sorted(lines) == sorted(
        [
            f"offer {asked[1].offer_id}: the vault has another public key",
            f"offer {asked[2].offer_id}, credential {elsewhere}: {OTHER}",
            f"offer {typed}: the key is not one ed25519 key",
            f"offer {absent}: the vault has 0 keys of this offer",
            "5 public keys were compared with the vault; 4 differ",
        ]
    )


@pytest.mark.usefixtures("clean_database")
async def test_a_key_that_ends_during_the_comparison_does_not_differ(
    callers: Callers, own_vault: OwnVault, database: Postgres
) -> None:
    """An offer that was given up and one that an account took and lost are no alarm; a changed key is one."""
    offers = [callers.gateway.offering() for _ in range(4)]
    for each in offers:
        made = await callers.gateway.offer(each)
        assert isinstance(made, KeyOffered)
        await shown(database, each.offer_id, born_key_fingerprint(made.public_key))
    ids = [each.offer_id for each in offers]
    async with await database.connect(OWNER) as connection, await database.connect(SUPERUSER) as admin:
        found = differing(connection, own_vault.client)
        assert await anext(found)
        await admin.execute("update key_offers set ended_at = now() where id = %s", [ids[1]])
        await admin.execute("delete from key_offers where id = %s", [ids[2]])
        for gone in ids[1:]:
            await callers.gateway.destroy(gone)

        rest = [(told.offer, why) async for told, why in found]

    assert rest == [(ids[1], ""), (ids[2], ""), (ids[3], "the vault has 0 keys of this offer")]
