"""Provision a Vault or OpenBao for the vault-broker: `python -m deploy.vault --directory DIR`.

It sets up the engines `secret/` (KV version 2) and `transit/`, AppRole, the broker's policy and role, and its
sealing key. It can run again at any time, because correct parts stay unchanged. It writes `broker.role_id`,
`broker.secret_id` and `fingerprints.env` to DIR, for broker and gateway, and keeps a login that still works.
With --kubernetes-namespace it sets up the login with the token of the broker's pod instead, and deletes the
AppRole with its secret ids.
With --recovery-key-file it needs no token: it initialises a new vault that unseals itself, keeps the recovery
key in that file, and makes a root token of it that ends with the command.
With --write-delivery it makes only a new secret id, wrapped, for the broker on another machine. There
--open-delivery, which needs no token, writes the broker's login to DIR, and refuses what someone else has
opened. When the broker has started again, --end-earlier-logins destroys all but the newest secret id.
It prints the fingerprints. VAULT_ADDR, VAULT_TOKEN and VAULT_CACERT are defaults of its options.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx

from contracts.values import Secret
from deploy.vault.calls import Refused
from deploy.vault.connecting import Access, client_of, connected
from deploy.vault.delivery import (
    NotDelivered,
    end_earlier,
    newest_secret_id,
    open_delivery,
    write_delivery,
)
from deploy.vault.provision import Cluster, Handover, Terms, provision


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
    add("--recovery-key-file", type=Path, help="file of the recovery key, in place of a token")
    add("--fingerprints-file", type=Path, help="for the fingerprints (DIR/fingerprints.env)")
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
    _delivery_arguments(parser)
    _pod_arguments(parser)
    return parser.parse_args(line)


def _delivery_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the three steps of a delivery, of which a command does one."""
    group = parser.add_argument_group("a new secret id for a broker on another machine")
    add = group.add_mutually_exclusive_group().add_argument
    add("--write-delivery", type=Path, metavar="FILE", help="make one, wrapped")
    add("--open-delivery", type=Path, metavar="FILE", help="on the broker's machine: unwrap it, once")
    add("--end-earlier-logins", action="store_true", help="destroy all secret ids but the newest")


def _pod_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the login of a broker in a cluster."""
    of_pods = parser.add_argument_group("the broker's login with the token of its pod")
    of_pods.add_argument("--kubernetes-namespace", help="namespace of the service account vault-broker")
    of_pods.add_argument(
        "--kubernetes-host", default="https://kubernetes.default.svc", help="address of the API server"
    )
    of_pods.add_argument("--kubernetes-ca-file", type=Path, help="its authority, for a vault elsewhere")
    of_pods.add_argument(
        "--reviewer-token-file", type=Path, help="token that may review others, for a vault elsewhere"
    )


def cluster_of(options: argparse.Namespace) -> Cluster | None:
    """Return the cluster of the broker, None without one; raises OSError for an unreadable file."""
    if not options.kubernetes_namespace:
        return None
    files = (options.kubernetes_ca_file, options.reviewer_token_file)
    authority, reviewer = (file.read_text().strip() if file else "" for file in files)
    return Cluster(options.kubernetes_namespace, options.kubernetes_host, authority, reviewer)


def access_of(options: argparse.Namespace) -> Access:
    """Return how to reach the vault; raises OSError for an unreadable file."""
    given = options.token_file.read_text() if options.token_file else os.environ.get("VAULT_TOKEN", "")
    return Access(options.address, options.ca_file, Secret(given), options.recovery_key_file)


async def run(options: argparse.Namespace) -> None:
    """Provision; raises the errors of `access_of`, `connected` and `provision`."""
    options.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    role_id, secret_id, fingerprints = (
        options.directory / name for name in ("broker.role_id", "broker.secret_id", "fingerprints.env")
    )
    if options.open_delivery:
        async with client_of(access_of(options), needs_token=False) as client:
            await open_delivery(client, options.open_delivery, role_id, secret_id)
        print(f"the broker's login is in {options.directory}")
        return
    if options.write_delivery or options.end_earlier_logins:
        await _logins(options)
        return
    files = Handover(role_id, secret_id, options.fingerprints_file or fingerprints)
    terms = Terms(tuple(options.broker_network), options.renew_login, options.alone, cluster_of(options))
    async with connected(access_of(options)) as client:
        await provision(client, files, terms)
    print(f"{options.address} is provisioned; login and fingerprints are in {options.directory}")
    print(files.fingerprints_file.read_text(), end="")


async def _logins(options: argparse.Namespace) -> None:
    """Make a delivery, or end what it has replaced; raises NotDelivered."""
    async with connected(access_of(options)) as client:
        if options.write_delivery:
            await write_delivery(client, options.write_delivery)
            print(f"{options.write_delivery} opens once, within an hour, on the broker's machine")
        else:
            await end_earlier(client, await newest_secret_id(client))
            print("earlier secret ids and their tokens are destroyed")


def text(error: Exception) -> str:
    """Return the first line of an error, or its name."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def main() -> None:
    """Run the command; a failure is reported in one line, without a secret."""
    try:
        asyncio.run(run(arguments()))
    except NotDelivered as error:
        sys.exit(f"the login is not delivered: {error}")
    except (Refused, ValueError, OSError, httpx.HTTPError) as error:
        sys.exit(f"the vault is not provisioned: {text(error)}")


if __name__ == "__main__":
    main()
