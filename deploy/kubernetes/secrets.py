"""Write the Secrets and ConfigMaps of a cluster: `python -m deploy.kubernetes.secrets --directory DIR`.

It creates what is missing in DIR, which its owner keeps, and prints the objects for `kubectl apply -f -`:
the nkeys of the services and the accounts of NATS, the passwords of the database, the two keys of the
gateway, and the key that unseals OpenBao. No object ever holds a credential of an exchange.

When the file exists, it also prints: from DIR/vault.token the token for provisioning the vault, and from
DIR/fingerprints.env, for example the log of the Job provision-vault, the fingerprints of the vault's keys.
"""

import argparse
import json
import re
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.keys import accounts, keys
from deploy.vault.provision import FINGERPRINTS

Object = dict[str, Any]

PINNED = re.compile(rf"^({'|'.join(FINGERPRINTS)})=([0-9a-f,]+)$", re.MULTILINE)


def objects(directory: Path, namespace: str) -> list[Object]:
    """Return the objects; creates the files that are missing. Raises OSError."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    maps = {"nats-accounts": accounts(directory)}
    secrets = keys(directory)
    fingerprints = directory / "fingerprints.env"
    if fingerprints.exists():
        maps["vault-fingerprints"] = dict(PINNED.findall(fingerprints.read_text()))
    return [
        *(_secret(name, namespace, data) for name, data in secrets.items()),
        *(_object("ConfigMap", name, namespace, data=dict(data)) for name, data in maps.items()),
    ]


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
    """Print the objects as one list."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.kubernetes.secrets",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--directory", type=Path, required=True, help="for the keys; keep it, and back it up")
    parser.add_argument("--namespace", default="butler")
    options = parser.parse_args()
    items = objects(options.directory, options.namespace)
    print(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=1))


if __name__ == "__main__":
    main()
