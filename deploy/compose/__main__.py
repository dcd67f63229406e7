"""Write the files of the containers of deploy/compose.yaml: `python -m deploy.compose --directory DIR`.

DIR has a folder for each volume. `keys` keeps what is made once: nkeys, passwords, keys, and the authority of
the certificates of servers and clients, which are replaced in time. Each other folder gets the files of its
container, which the group of the command may read. Repeating the command changes nothing else.
"""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.keys import Files, accounts, keys
from deploy.local.certificates import Authority, make_authority
from deploy.private_files import private_folder, write_changed

MANIFESTS = Path(__file__).parents[1] / "kubernetes"
NATS_FILES = ("nats.conf", "cluster.conf")
# The names by which the servers' clients reach them.
SERVERS = ("nats", "openbao", "exchange")
# NATS verifies a certificate of each.
CLIENTS = ("gateway", "sync-worker", "vault-broker", "provisioning")
# Folders into which their containers, or those of the provisioning, write.
WRITABLE = ("gateway", "vault-broker", "provisioning", "nats-data", "database-data", "openbao-data")
AUTHORITY = "ca.crt"
OPENBAO = {
    "api_addr": "https://openbao:8200",
    "cluster_addr": "https://openbao:8201",
    "listener": [
        {
            "tcp": {
                "address": "0.0.0.0:8200",
                "cluster_address": "0.0.0.0:8201",
                "tls_cert_file": "/run/secrets/butler/tls.crt",
                "tls_key_file": "/run/secrets/butler/tls.key",
                # A later version may need other rights: the recovery key makes it a root token for that time.
                "disable_unauthed_generate_root_endpoints": False,
            }
        }
    ],
    "storage": {"raft": {"path": "/openbao/data", "node_id": "openbao", "performance_multiplier": 1}},
    "seal": {"static": {"current_key_id": "first", "current_key": "file:///run/secrets/butler/seal.key"}},
    "audit": [{"type": "file", "path": "to-stdout", "options": {"file_path": "stdout"}}],
}
OPENBAO_FILE = json.dumps(OPENBAO, indent=2).encode()


def arguments(line: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line, by default that of the process."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.compose",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--directory", type=Path, required=True, help="with a folder for each volume")
    return parser.parse_args(line)


def files(kept: Path) -> Mapping[str, Files]:
    """Return the files of each volume; creates the keys that are missing. Raises OSError."""
    bus = {name: text.encode() for name, text in accounts(kept).items()}
    secrets = keys(kept)
    owner, of_gateway, superuser = _passwords(secrets)
    authority = make_authority(private_folder(kept / "tls"), "Crypto Pocket Butler")
    trust = {AUTHORITY: authority.certificate_path.read_bytes()}
    servers = {name: _identity(authority, kept, name) for name in SERVERS}
    clients = {name: _client(authority, kept, name) for name in CLIENTS}
    return {
        "gateway": {**secrets["gateway"], **of_gateway, **trust, **clients["gateway"]},
        "sync-worker": {**secrets["sync-worker"], **trust, **clients["sync-worker"]},
        "vault-broker": {**secrets["vault-broker"], **trust, **clients["vault-broker"]},
        "nats": {**servers["nats"], **trust, "accounts.conf": bus["accounts.conf"], **_nats()},
        "database": {**owner, **superuser, **_roles()},
        "openbao": {**servers["openbao"], **trust, **secrets["openbao-seal"], "openbao.json": OPENBAO_FILE},
        "exchange": servers["exchange"],
        "provisioning": {
            **secrets["provision-bus"],
            **owner,
            **of_gateway,
            **trust,
            **clients["provisioning"],
            "subscribers.json": bus["subscribers.json"],
        },
    }


def _passwords(secrets: Mapping[str, Files]) -> list[Files]:
    """Return the passwords of the database's owner, the gateway and the superuser, each as one file."""
    of_roles = {
        "owner": "database-owner",
        "gateway": "gateway-database",
        "superuser": "database-superuser",
    }
    return [{f"{role}-password": secrets[name]["password"]} for role, name in of_roles.items()]


def _identity(authority: Authority, kept: Path, name: str) -> Files:
    server = authority.issue([name], private_folder(kept / "tls" / name))
    return {"tls.crt": server.certificate_path.read_bytes(), "tls.key": server.key_path.read_bytes()}


def _client(authority: Authority, kept: Path, name: str) -> Files:
    """Return the certificate and key that a client shows to NATS, in one file."""
    path = authority.issue_file([name], private_folder(kept / "tls" / "clients") / f"{name}.pem")
    return {"nats.pem": path.read_bytes()}


def _nats() -> Files:
    return {name: (MANIFESTS / "base" / "nats" / name).read_bytes() for name in NATS_FILES}


def _roles() -> Files:
    return {"roles.sh": (MANIFESTS / "components" / "postgres-single" / "roles.sh").read_bytes()}


def write(directory: Path) -> None:
    """Write the files that have changed; raises OSError."""
    for volume, content in files(private_folder(directory / "keys")).items():
        folder = _shared_folder(directory / volume)
        for name, data in content.items():
            write_changed(folder / name, data, mode=0o550 if name.endswith(".sh") else 0o440)
    for volume in WRITABLE:
        _shared_folder(directory / volume)


def _shared_folder(folder: Path) -> Path:
    """Return a folder that the group of this process may use, which may not use a new volume."""
    private_folder(folder)
    os.chown(folder, -1, os.getegid())
    folder.chmod(0o770 if folder.name in WRITABLE else 0o750)
    return folder


if __name__ == "__main__":
    write(arguments().directory)
