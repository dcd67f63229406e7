"""The keys of a system, created once in a folder that its operator keeps, by the part that needs them."""

import json
from collections.abc import Mapping
from pathlib import Path

from contracts.wire.bus_accounts import server_accounts
from contracts.wire.subscribers import write_subscribers
from deploy.bus_keys import public_keys
from deploy.database.passwords import candidates
from deploy.local.subscribers import Registry
from deploy.private_files import kept, password
from deploy.signing_keys import new_key, public_pem
from deploy.vault.seal import Seal

# The id of the seal's first key, and the configuration that names the keys, where OpenBao finds both.
FIRST_SEAL, SEAL_CONFIGURATION, SECRETS = "first", "seal-configuration.json", "/run/secrets/butler"
SERVICES = ("gateway", "sync-worker", "vault-broker")
OWNER, GATEWAY, SUPERUSER = "butler_owner", "butler_gateway", "postgres"

Files = dict[str, bytes]


def keys(directory: Path) -> dict[str, Files]:
    """Return the files of each secret; creates the keys that are missing. Raises OSError.

    The nkeys exist since `accounts`.
    """
    return {**_of_services(directory), **_of_database(directory), **_of_vault(directory)}


def accounts(directory: Path) -> Mapping[str, str]:
    """Return the accounts of the bus, with public keys only, and the list of subscribers."""
    subscribers = Registry(directory / "subscribers.json", directory).subscribers()
    return {
        "accounts.conf": server_accounts(public_keys(directory), subscribers),
        "subscribers.json": write_subscribers(subscribers).decode(),
    }


def _of_services(directory: Path) -> dict[str, Files]:
    """Return the secrets of the services: each its nkey, and the gateway's keys where they belong."""
    secrets = {name: {"nats.nk": (directory / f"{name}.nk").read_bytes()} for name in SERVICES}
    grant = kept(directory / "grant.pem", new_key).read_bytes()
    secrets["gateway"] |= {"jwt.pem": kept(directory / "jwt.pem", new_key).read_bytes(), "grant.pem": grant}
    secrets["vault-broker"]["grant-public.pem"] = public_pem(grant)
    return {**secrets, "provision-bus": {"admin.nk": (directory / "admin.nk").read_bytes()}}


def _of_database(directory: Path) -> dict[str, Files]:
    roles = {"database-owner": OWNER, "gateway-database": GATEWAY, "database-superuser": SUPERUSER}
    return {
        name: {
            "username": role.encode(),
            "password": _password(directory, role),
        }
        for name, role in roles.items()
    }


def _password(directory: Path, role: str) -> bytes:
    """Return a role's password; the gateway connects with the next one, too, while it is replaced."""
    kept_file = kept(directory / f"{role}.password", password)
    return "\n".join(candidates(directory, role)).encode() if role == GATEWAY else kept_file.read_bytes()


def _of_vault(directory: Path) -> dict[str, Files]:
    seal = Seal(directory, FIRST_SEAL)
    files = {path.name: path.read_bytes() for path in seal.files()}
    files[SEAL_CONFIGURATION] = json.dumps({"seal": seal.configuration(SECRETS)}).encode()
    token = directory / "vault.token"
    provisioning = {"provision-vault": {"token": token.read_bytes().strip()}} if token.exists() else {}
    return {"openbao-seal": files, **provisioning}
