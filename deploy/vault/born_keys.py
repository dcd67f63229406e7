"""Compare the public keys that gateways offered with the vault: `python -m deploy.vault.born_keys`.

A stolen vault-broker could offer a key of its own in place of one that was born in the vault. The gateways
keep the fingerprint of each public key that they showed; this command reads the keys themselves, with a token
of the operator, and names each offer that differs. It changes nothing, and ends with status 1 if one differs.
VAULT_ADDR, VAULT_TOKEN and VAULT_CACERT are defaults of its options.
"""

import argparse
import asyncio
import os
import sys
from base64 import b64decode
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import LiteralString
from uuid import UUID

import httpx
import psycopg

from contracts.exchanges.keys import OFFER
from contracts.wire.pinning import born_key_fingerprint
from deploy.database.connecting import connect, with_password
from deploy.database.roles import Connection
from deploy.vault.__main__ import access_of, text
from deploy.vault.calls import Answer, call, record
from deploy.vault.connecting import connected

KIND = "ed25519"
BATCH = 500


@dataclass(frozen=True, slots=True)
class Shown:
    """A public key that a user was shown, as fingerprint, and the credential of the account that took it."""

    offer: UUID
    fingerprint: str
    credential: UUID | None


async def differing(connection: Connection, client: httpx.AsyncClient) -> AsyncIterator[tuple[Shown, str]]:
    """Yield each offer with its difference from the vault, an empty text if both agree.

    Raises psycopg.Error and httpx.HTTPError.
    """
    engines = await _engines(client)
    after = UUID(int=0)
    while rows := await _shown(connection, after):
        for each in rows:
            yield each, await _compared(connection, client, engines, each)
        after = rows[-1].offer


async def _compared(
    connection: Connection, client: httpx.AsyncClient, engines: Sequence[str], shown: Shown
) -> str:
    """Return why an offer differs; none does that ended or got another account while it was compared."""
    while why := await _difference(client, engines, shown):
        now = await _rows(connection, "id = %s", [shown.offer])
        if not now:
            return ""
        if now == [shown]:
            return why
        (shown,) = now
    return ""


async def _shown(connection: Connection, after: UUID) -> list[Shown]:
    """Return the offers that have not ended, in order, from the first one after `after`."""
    return await _rows(connection, "id > %s order by id limit %s", [after, BATCH])


async def _rows(connection: Connection, which: LiteralString, values: Sequence[object]) -> list[Shown]:
    query: LiteralString = """select id, fingerprint, credential_id from key_offers
        where fingerprint is not null and ended_at is null and """
    found = await connection.execute(query + which, values)
    return [
        Shown(UUID(str(offer)), str(fingerprint), UUID(str(credential)) if credential else None)
        for offer, fingerprint, credential in await found.fetchall()
    ]


async def _difference(client: httpx.AsyncClient, engines: Sequence[str], shown: Shown) -> str:
    keys = [key for engine in engines if (key := await _key(client, f"{engine}/keys/{shown.offer}"))]
    if len(keys) != 1:
        return f"the vault has {len(keys)} keys of this offer"
    (key,) = keys
    if key["type"] != KIND or len(key["keys"]) != 1:
        return f"the key is not one {KIND} key"
    if key["exportable"] or key["allow_plaintext_backup"] or key.get("imported_key"):
        return "the key was not born in the vault, or may leave it"
    if born_key_fingerprint(b64decode(key["keys"]["1"]["public_key"])) != shown.fingerprint:
        return "the vault has another public key"
    if shown.credential is None:
        return ""
    named = (await record(client, f"secret/data/credentials/{shown.credential}")).get(OFFER)
    return "" if named == str(shown.offer) else "the record of the account's credential names another key"


async def _key(client: httpx.AsyncClient, path: str) -> Answer:
    answer = await client.get(path)
    if answer.status_code == httpx.codes.NOT_FOUND:
        return {}
    found: Answer = answer.raise_for_status().json()["data"]
    return found


async def _engines(client: httpx.AsyncClient) -> list[str]:
    mounted = (await call(client, "GET", "sys/mounts"))["data"]
    return [path.rstrip("/") for path, engine in mounted.items() if engine["type"] == "transit"]


def arguments(line: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the environment and the command line, by default the command line of the process."""
    parser = argparse.ArgumentParser(prog="python -m deploy.vault.born_keys", description=__doc__)
    add, told = parser.add_argument, os.environ.get
    add("--database-url", required=True, help="postgresql://ROLE@HOST:PORT/DATABASE?sslmode=...")
    add("--database-password-file", type=Path, required=True, help="file with the role's password")
    add("--address", default=told("VAULT_ADDR"), help="https://HOST:PORT (VAULT_ADDR)")
    add("--token-file", type=Path, help="file with a token that may read all of this (VAULT_TOKEN)")
    add("--recovery-key-file", type=Path, help="file of the recovery key, in place of a token")
    add("--ca-file", default=told("VAULT_CACERT"), help="authority of its certificate (VAULT_CACERT)")
    return parser.parse_args(line)


async def run(options: argparse.Namespace) -> int:
    """Compare all, and print each that differs; returns how many do. Raises the errors of both sides."""
    password = options.database_password_file.read_text().partition("\n")[0].strip()
    compared = wrong = 0
    async with (
        await connect(with_password(options.database_url, password)) as connection,
        connected(access_of(options)) as client,
    ):
        async for shown, why in differing(connection, client):
            compared += 1
            if why:
                wrong += 1
                account = f", credential {shown.credential}" if shown.credential else ""
                print(f"offer {shown.offer}{account}: {why}")
    print(f"{compared} public keys were compared with the vault; {wrong} differ")
    return wrong


def main() -> None:
    """Run the command; a failure is reported in one line, without a secret."""
    try:
        wrong = asyncio.run(run(arguments()))
    except (ValueError, OSError, httpx.HTTPError, psycopg.Error) as error:
        sys.exit(f"not compared: {text(error)}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
