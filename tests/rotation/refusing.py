"""What an attacker tries with a copy of the keys from before a rotation."""

import ssl
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import psycopg
from nats.aio.client import Client
from nats.errors import Error

from chassis.tls import tls_context
from contracts.credentials import Authorized
from contracts.wire.key_files import read_signing_keys
from deploy.bus_keys import OWN_USERS, seed, seed_file
from deploy.keys import GATEWAY, OWNER, SUPERUSER
from deploy.local.certificates import make_authority
from deploy.local.nats import Nats
from deploy.local.stack import Stack
from tests.joining import leave
from tests.vault_broker.asking import Gateway, Worker
from tests.vault_broker.conftest import connected

# Each returns what was opened.
Try = Callable[[Stack, Path], Awaitable[set[str]]]


async def by_nkeys(stack: Stack, copy: Path) -> set[str]:
    """Connect to the bus with seeds of the copy, and the certificates of now."""
    bus = stack.parts.nats
    tried = {name: await _joins(bus, seed(seed_file(copy, name)), bus.context(name)) for name in OWN_USERS}
    return {name for name, opened in tried.items() if opened}


async def by_passwords(stack: Stack, copy: Path) -> set[str]:
    """Connect to the database with passwords of the copy."""
    database, opened = stack.parts.database, set()
    for role in (GATEWAY, OWNER, SUPERUSER):
        secret = (copy / f"{role}.password").read_text()
        try:
            await (await database._connect(role, "butler", secret)).close()
        except psycopg.OperationalError:
            continue
        opened.add(role)
    return opened


async def by_certificates(stack: Stack, copy: Path) -> set[str]:
    """Connect to the bus with a certificate that the copied authority issues, and the seed of now."""
    bus, own = stack.parts.nats, str(copy / "forged.pem")
    make_authority(copy / "nats", "any").issue_file(["admin"], Path(own))
    forged = tls_context(str(bus.ca), own, own)
    return {"admin"} if await _joins(bus, seed(bus.seed_file("admin")), forged) else set()


async def by_grant(stack: Stack, copy: Path) -> set[str]:
    """Ask for signed reads of a user's credential, with a grant that the copied key signs."""
    async with await stack.parts.database.connect(SUPERUSER) as connection:
        row = await (await connection.execute("select credential_id from accounts limit 1")).fetchone()
    assert row is not None
    credential, key = UUID(str(row[0])), read_signing_keys((copy / "grant.pem").read_bytes()).current
    async with connected(stack.parts.nats, "sync-worker", "worker") as bus:
        worker, gateway = Worker(bus, _now), Gateway(bus, key, _now)
        reply = await worker.authorize(worker.request(credential, gateway.grant(credential)))
    return {"reads"} if isinstance(reply, Authorized) else set()


async def by_login(stack: Stack, copy: Path) -> set[str]:
    """Log in at the vault with the copied secret id."""
    fields = {name: (copy / f"broker.{name}").read_text() for name in ("role_id", "secret_id")}
    async with stack.parts.vault.client() as client:
        return {"token"} if (await client.post("auth/approle/login", json=fields)).is_success else set()


def _now() -> datetime:
    return datetime.now(UTC)


async def _joins(bus: Nats, own_seed: str, tls: ssl.SSLContext) -> bool:
    client = Client()
    try:
        await client.connect(
            bus.url,
            nkeys_seed_str=own_seed,
            tls=tls,
            tls_handshake_first=True,
            allow_reconnect=False,
            connect_timeout=5,
        )
    except (Error, OSError):
        return False
    finally:
        await leave(client)
    return True


TRIES: Mapping[str, Try] = {
    "grant": by_grant,
    "login": by_login,
    "nkeys": by_nkeys,
    "passwords": by_passwords,
    "certificates": by_certificates,
}


async def opened(key: str, stack: Stack, copy: Path) -> set[str]:
    """Return what the copy opens; nothing for a key that other tests try."""
    return await TRIES[key](stack, copy) if key in TRIES else set()
