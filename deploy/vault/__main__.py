"""Provision a Vault or OpenBao for the vault-broker: `python -m deploy.vault --directory DIR`.

It sets up the engines `secret/` (KV version 2) and `transit/`, AppRole, the broker's policy and role, and its
sealing key. It can run again at any time, because correct parts stay unchanged. It writes `broker.role_id`,
`broker.secret_id` and `fingerprints.env` to DIR, for broker and gateway, and keeps a login that still works.
With --kubernetes-namespace it sets up the login with the token of the broker's pod instead, and deletes the
AppRole with its secret ids. It prints the fingerprints. VAULT_ADDR, VAULT_TOKEN and VAULT_CACERT are defaults
of its options.
"""

import argparse
import asyncio
import os
import re
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx

from deploy.vault.provision import Cluster, Handover, Refused, Terms, provision

CALL_SECONDS = 30
# The characters of a token that can stand in a header.
TOKEN = re.compile(r"[!-~]+")


def arguments(line: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line, by default that of the process, and the environment."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.vault",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add, told = parser.add_argument, os.environ.get
    add("--directory", type=Path, required=True, help="for the broker's login and the fingerprints")
    add("--address", default=told("VAULT_ADDR"), help="https://HOST:PORT (VAULT_ADDR)")
    add("--token-file", type=Path, help="file with a token that may do all of this (VAULT_TOKEN)")
    add("--ca-file", default=told("VAULT_CACERT"), help="authority of its certificate (VAULT_CACERT)")
    add(
        "--broker-network",
        action="append",
        default=[],
        help="CIDR where the broker's login works; repeatable",
    )
    add(
        "--renew-login",
        action="store_true",
        help="end the broker's tokens and, with AppRole, its earlier secret ids",
    )
    add(
        "--alone",
        action="store_true",
        help="where the broker's tokens end, end all others but the caller's, too",
    )
    of_pods = parser.add_argument_group("the broker's login with the token of its pod")
    of_pods.add_argument("--kubernetes-namespace", help="namespace of the service account vault-broker")
    of_pods.add_argument(
        "--kubernetes-host", default="https://kubernetes.default.svc", help="address of the API server"
    )
    of_pods.add_argument("--kubernetes-ca-file", type=Path, help="its authority, for a vault elsewhere")
    of_pods.add_argument(
        "--reviewer-token-file", type=Path, help="token that may review others, for a vault elsewhere"
    )
    return parser.parse_args(line)


def cluster_of(options: argparse.Namespace) -> Cluster | None:
    """Return the cluster of the broker, None without one; raises OSError for an unreadable file."""
    if not options.kubernetes_namespace:
        return None
    files = (options.kubernetes_ca_file, options.reviewer_token_file)
    authority, reviewer = (file.read_text().strip() if file else "" for file in files)
    return Cluster(options.kubernetes_namespace, options.kubernetes_host, authority, reviewer)


def client_of(options: argparse.Namespace) -> httpx.AsyncClient:
    """Return the client; raises ValueError if address or token is missing, OSError for an unreadable file."""
    if not (options.address or "").startswith("https://"):
        raise ValueError("the vault's address is not https://HOST:PORT: set VAULT_ADDR or give --address")
    given = options.token_file.read_text() if options.token_file else os.environ.get("VAULT_TOKEN", "")
    token = given.strip()
    if not token:
        raise ValueError("the token is missing: set VAULT_TOKEN or give --token-file")
    if not TOKEN.fullmatch(token):  # the HTTP client would repeat it in its error
        raise ValueError("the token is not valid: it must be one line of ASCII without spaces")
    return httpx.AsyncClient(
        base_url=f"{options.address.rstrip('/')}/v1/",
        headers={"X-Vault-Token": token},
        verify=ssl.create_default_context(cafile=options.ca_file or None),
        timeout=CALL_SECONDS,
        trust_env=False,
    )


async def run(options: argparse.Namespace) -> None:
    """Provision; raises the errors of `client_of` and `provision`."""
    options.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    names = ("broker.role_id", "broker.secret_id", "fingerprints.env")
    files = Handover(*(options.directory / name for name in names))
    terms = Terms(tuple(options.broker_network), options.renew_login, options.alone, cluster_of(options))
    async with client_of(options) as client:
        await provision(client, files, terms)
    print(f"{options.address} is provisioned; login and fingerprints are in {options.directory}")
    print(files.fingerprints_file.read_text(), end="")


def text(error: Exception) -> str:
    """Return the first line of an error, or its name."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def main() -> None:
    """Run the command; a failure is reported in one line, without a secret."""
    try:
        asyncio.run(run(arguments()))
    except (Refused, ValueError, OSError, httpx.HTTPError) as error:
        sys.exit(f"the vault is not provisioned: {text(error)}")


if __name__ == "__main__":
    main()
