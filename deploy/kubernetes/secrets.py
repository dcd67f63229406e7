"""Write the Secrets and ConfigMaps of a cluster: `python -m deploy.kubernetes.secrets --directory DIR`.

It creates the missing keys in DIR, and prints the objects for `kubectl apply -f -`: the nkeys of the
services, the accounts of NATS, the passwords of the database, the two keys of the gateway, and the key that
unseals OpenBao. Keep DIR, readable by its owner only, and back it up. No object ever holds a credential of
an exchange.

Two files of DIR come from you, when you have them: `vault.token`, the token for provisioning the vault, and
`fingerprints.env`, the fingerprints of the vault's keys, for example the log of the Job provision-vault.
"""

import argparse
import json
import sys
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from secrets import token_bytes
from typing import Any

from contracts.wire.bus_accounts import server_accounts
from contracts.wire.bus_users import USERS
from contracts.wire.subscribers import write_subscribers
from deploy.local.subscribers import SYSTEM, Registry, public_key
from deploy.private_files import kept, new_key, password, private_folder, public_pem
from deploy.vault.provision import pinned_fingerprints

Object = dict[str, Any]

SEAL_BYTES = 32
SERVICES = ("gateway", "sync-worker", "vault-broker")
OWNER, GATEWAY, SUPERUSER = "butler_owner", "butler_gateway", "postgres"
OTHERS = 0o077


class Readable(Exception):
    """Users other than the owner may read keys."""


def objects(directory: Path, namespace: str) -> list[Object]:
    """Return the objects; creates the files that are missing.

    Raises Readable, ValueError for fingerprints that are not valid, and OSError.
    """
    _refuse_readable(private_folder(directory))
    maps = {"nats-accounts": _accounts(directory)}
    secrets = {**_of_services(directory), **_of_database(directory), **_of_vault(directory)}
    fingerprints = directory / "fingerprints.env"
    if fingerprints.exists():
        maps["vault-fingerprints"] = pinned_fingerprints(fingerprints)
    return [
        *(_secret(name, namespace, data) for name, data in secrets.items()),
        *(_object("ConfigMap", name, namespace, data=dict(data)) for name, data in maps.items()),
    ]


def _refuse_readable(directory: Path) -> None:
    """Raise Readable if group or others have rights at the folder or one of its files."""
    open_to_others = [path for path in (directory, *directory.iterdir()) if path.stat().st_mode & OTHERS]
    if open_to_others:
        names = ", ".join(map(str, open_to_others))
        raise Readable(f"other users have rights at {names}: run `chmod -R go= {directory}`")


def _secret(name: str, namespace: str, data: Mapping[str, bytes]) -> Object:
    kind = "kubernetes.io/basic-auth" if "username" in data else "Opaque"
    encoded = {key: b64encode(value).decode() for key, value in data.items()}
    return _object("Secret", name, namespace, type=kind, data=encoded)


def _object(kind: str, name: str, namespace: str, **content: object) -> Object:
    labels = {"app.kubernetes.io/part-of": "butler"}
    return {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        **content,
    }


def _accounts(directory: Path) -> Mapping[str, str]:
    """Return the accounts of the bus, with public keys only, and the list of subscribers."""
    subscribers = Registry(directory / "subscribers.json", directory).subscribers()
    keys = {name: public_key(directory / f"{name}.nk") for name in (*(user.name for user in USERS), SYSTEM)}
    return {
        "accounts.conf": server_accounts(keys, subscribers),
        "subscribers.json": write_subscribers(subscribers).decode(),
    }


def _of_services(directory: Path) -> dict[str, dict[str, bytes]]:
    """Return the Secrets of the services: each its nkey, and the gateway's keys where they belong."""
    secrets = {name: {"nats.nk": (directory / f"{name}.nk").read_bytes()} for name in SERVICES}
    grant = kept(directory / "grant.pem", new_key).read_bytes()
    secrets["gateway"] |= {"jwt.pem": kept(directory / "jwt.pem", new_key).read_bytes(), "grant.pem": grant}
    secrets["vault-broker"]["grant-public.pem"] = public_pem(grant)
    return {**secrets, "provision-bus": {"admin.nk": (directory / "admin.nk").read_bytes()}}


def _of_database(directory: Path) -> dict[str, dict[str, bytes]]:
    roles = {"database-owner": OWNER, "gateway-database": GATEWAY, "database-superuser": SUPERUSER}
    return {
        name: {
            "username": role.encode(),
            "password": kept(directory / f"{role}.password", password).read_bytes(),
        }
        for name, role in roles.items()
    }


def _of_vault(directory: Path) -> dict[str, dict[str, bytes]]:
    seal = kept(directory / "seal.key", lambda: token_bytes(SEAL_BYTES)).read_bytes()
    token = directory / "vault.token"
    provisioning = {"provision-vault": {"token": token.read_bytes().strip()}} if token.exists() else {}
    return {"openbao-seal": {"seal.key": seal}, **provisioning}


def main() -> None:
    """Print the objects as one list; a failure is reported in one line."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.kubernetes.secrets",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--directory", type=Path, required=True, help="for the keys; keep it, and back it up")
    parser.add_argument("--namespace", default="butler")
    options = parser.parse_args()
    try:
        items = objects(options.directory, options.namespace)
    except (Readable, ValueError, OSError) as error:
        sys.exit(f"no objects are written: {error}")
    print(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=1))


if __name__ == "__main__":
    main()
