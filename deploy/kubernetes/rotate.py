"""Rotate a key of a cluster: `python -m deploy.kubernetes.rotate --directory KEYS KEY`.

KEYS is the folder of `deploy.kubernetes.secrets`. The command changes the key in it, applies the objects with
kubectl, and replaces the pods that read them, step by step, while the system works. An interrupted command is
repeated, and goes on. `sealing`, `wrapping` and `seal` need the vault's address and its recovery key or a
token, as `deploy.vault` has them (VAULT_ADDR, VAULT_TOKEN and VAULT_CACERT are defaults). `grant` and
`passwords` need the database, as `deploy.database` has it.
"""

import argparse
import asyncio
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx
import psycopg

from contracts.values import Secret
from deploy.kubernetes.cluster import ClusterPlace
from deploy.kubernetes.kubectl import AGAIN, Kubectl
from deploy.private_files import locked
from deploy.rotation.catalogue import ROTATIONS, explained
from deploy.rotation.surroundings import RotationFailed
from deploy.vault.calls import Refused
from deploy.vault.connecting import Access

# The certificates of a cluster's servers and clients, without that of their authority.
LEAVES = (
    "nats",
    "database",
    "openbao",
    "gateway-nats",
    "sync-worker-nats",
    "vault-broker-nats",
    "provision-bus-nats",
)
# What replaces the other keys of a cluster.
ELSEWHERE: Mapping[str, str] = {
    "login": "the broker logs in with the token of its pod, which the kubelet replaces each hour; to end the "
    "vault's tokens that it has, do steps 1 to 3 of `Provision the vault again` in "
    "deploy/kubernetes/README.md, run `.venv/bin/python -m deploy.vault --directory {keys} "
    "--fingerprints-file {keys}/fingerprints.vault --address https://127.0.0.1:8200 "
    "--ca-file {keys}/vault-ca.crt --recovery-key-file {keys}/recovery.key "
    "--kubernetes-namespace {namespace} --renew-login`, and do step 5",
    "certificates": "cert-manager replaces certificates before they end; "
    f"`cmctl renew --namespace {{namespace}} {' '.join(LEAVES)}` replaces them now, and services "
    "and servers read them without a restart; no command replaces their authority",
}
# What a step may raise beside RotationFailed.
UNEXPECTED = (OSError, ValueError, psycopg.Error, httpx.HTTPError, httpx.InvalidURL, Refused)


def arguments(line: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line, by default that of the process, and the environment."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.kubernetes.rotate",
        description=__doc__,
        epilog=explained(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add, told = parser.add_argument, os.environ.get
    add("key", metavar="KEY", choices=ROTATIONS, help="one of those below; repeat it after an interruption")
    add("--directory", type=Path, required=True, help="the folder with the cluster's keys")
    add("--kubectl", default="kubectl", help="the program, which finds the cluster by its own settings")
    add("--namespace", default="butler", help="where the system runs (butler)")
    add("--database-url", help="postgresql://butler_owner@HOST:PORT/DATABASE?sslmode=..., without a password")
    add("--address", default=told("VAULT_ADDR"), help="https://HOST:PORT of the vault (VAULT_ADDR)")
    add("--token-file", type=Path, help="file with a token of the vault (VAULT_TOKEN)")
    add("--recovery-key-file", type=Path, help="file of the vault's recovery key, in place of a token")
    add("--ca-file", default=told("VAULT_CACERT"), help="authority of its certificate (VAULT_CACERT)")
    return parser.parse_args(line)


def access_of(options: argparse.Namespace) -> Access:
    """Return how to reach the vault, if the key needs it; raises OSError for an unreadable file."""
    given = options.token_file.read_text() if options.token_file else os.environ.get("VAULT_TOKEN", "")
    return Access(options.address, options.ca_file, Secret(given), options.recovery_key_file)


async def _rotate(options: argparse.Namespace) -> None:
    """Rotate one key; raises RotationFailed and UNEXPECTED."""
    kubectl = Kubectl(options.kubectl, options.namespace)
    place = ClusterPlace(options.directory, kubectl, access_of(options), options.database_url)
    place.check()
    await ROTATIONS[options.key](place)
    await place.apply()  # also what changed after the last step that read objects
    place.tell(f"{options.key} is rotated: back {options.directory} up")


def _reason(error: Exception) -> str:
    """Return the first line of an error, without what a file holds."""
    if isinstance(error, OSError) and error.strerror:
        return ": ".join(map(str, filter(None, (error.filename, error.strerror))))
    if isinstance(error, ValueError):
        return f"a file of the keys is damaged ({type(error).__name__})"
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def main() -> None:
    """Rotate one key; a failure is reported in one line, without a secret."""
    options = arguments()
    if options.key in ELSEWHERE:
        names = {"keys": shlex.quote(str(options.directory)), "namespace": shlex.quote(options.namespace)}
        sys.exit(f"{options.key}: {ELSEWHERE[options.key].format(**names)}")
    try:
        with locked(options.directory, wait=False):
            asyncio.run(_rotate(options))
    except BlockingIOError:
        sys.exit(f"another rotation runs on {options.directory}: wait until it has ended")
    except RotationFailed as error:
        sys.exit(f"{options.key} is not rotated yet: {error}")
    except UNEXPECTED as error:
        sys.exit(f"{options.key} is not rotated yet: {_reason(error)}: repair that, {AGAIN}")
    except KeyboardInterrupt:
        sys.exit(f"{options.key} is not rotated yet: the same command goes on from here")


if __name__ == "__main__":
    main()
