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
from typing import Any

from deploy.keys import accounts, keys
from deploy.private_files import private_folder
from deploy.vault.provision import pinned_fingerprints

Object = dict[str, Any]

OTHERS = 0o077


class Readable(Exception):
    """Users other than the owner may read keys."""


def objects(directory: Path, namespace: str) -> list[Object]:
    """Return the objects; creates the files that are missing.

    Raises Readable, ValueError for fingerprints that are not valid, and OSError.
    """
    _refuse_readable(private_folder(directory))
    maps = {"nats-accounts": accounts(directory)}
    secrets = keys(directory)
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
