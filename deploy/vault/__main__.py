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
import re
import ssl
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from deploy.vault.calls import Refused, call
from deploy.vault.delivery import (
    NotDelivered,
    end_earlier,
    newest_secret_id,
    open_delivery,
    write_delivery,
)
from deploy.vault.provision import Cluster, Handover, Terms, provision
from deploy.vault.root_token import as_root, first_root_token, recovered_root_token

CALL_SECONDS = 30
# For a vault that starts at the same time, or elects its leader.
PATIENCE_SECONDS = 60
POLL_SECONDS = 0.2
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
    delivery = parser.add_argument_group("a new secret id for a broker on another machine").add_argument
    delivery("--write-delivery", type=Path, metavar="FILE", help="make one, wrapped")
    delivery("--open-delivery", type=Path, metavar="FILE", help="on the broker's machine: unwrap it, once")
    delivery("--end-earlier-logins", action="store_true", help="destroy all secret ids but the newest")
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
    if not token and not options.recovery_key_file and not options.open_delivery:
        raise ValueError("the token is missing: set VAULT_TOKEN or give --token-file")
    if token and not TOKEN.fullmatch(token):  # the HTTP client would repeat it in its error
        raise ValueError("the token is not valid: it must be one line of ASCII without spaces")
    return httpx.AsyncClient(
        base_url=f"{options.address.rstrip('/')}/v1/",
        headers={"X-Vault-Token": token} if token else {},
        verify=ssl.create_default_context(cafile=options.ca_file or None),
        timeout=CALL_SECONDS,
        trust_env=False,
    )


async def status(client: httpx.AsyncClient, path: str) -> int | None:
    """Return the status of an unauthenticated request, None without an answer."""
    try:
        return (await client.get(path)).status_code
    except httpx.TransportError:
        return None


async def until_ok(client: httpx.AsyncClient, path: str) -> None:
    """Wait until the vault answers 200; raises TimeoutError."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := await status(client, path)) != httpx.codes.OK:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} answered {found or 'nothing'} for {PATIENCE_SECONDS} seconds")
        await asyncio.sleep(POLL_SECONDS)


@asynccontextmanager
async def authorized(client: httpx.AsyncClient, recovery_key: Path | None) -> AsyncIterator[None]:
    """Use the client's token, or a root token of the recovery key, which is revoked at exit.

    Raises httpx.HTTPError, TimeoutError, and OSError without the file of an initialised vault.
    """
    if recovery_key is None:
        yield
        return
    await until_ok(client, "sys/init")
    if (await call(client, "GET", "sys/init"))["initialized"]:
        await until_ok(client, "sys/health")
        token = await recovered_root_token(client, recovery_key)
    else:
        token = await first_root_token(client, recovery_key)
        await until_ok(client, "sys/health")
    async with as_root(client, token):
        yield


async def run(options: argparse.Namespace) -> None:
    """Provision; raises the errors of `client_of`, `authorized` and `provision`."""
    options.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    role_id, secret_id, fingerprints = (
        options.directory / name for name in ("broker.role_id", "broker.secret_id", "fingerprints.env")
    )
    if options.open_delivery:
        async with client_of(options) as client:
            await open_delivery(client, options.open_delivery, role_id, secret_id)
        print(f"the broker's login is in {options.directory}")
        return
    if options.write_delivery or options.end_earlier_logins:
        await _logins(options)
        return
    files = Handover(role_id, secret_id, options.fingerprints_file or fingerprints)
    terms = Terms(tuple(options.broker_network), options.renew_login, options.alone, cluster_of(options))
    async with client_of(options) as client, authorized(client, options.recovery_key_file):
        await provision(client, files, terms)
    print(f"{options.address} is provisioned; login and fingerprints are in {options.directory}")
    print(files.fingerprints_file.read_text(), end="")


async def _logins(options: argparse.Namespace) -> None:
    """Make a delivery, or end what it has replaced; raises NotDelivered."""
    async with client_of(options) as client, authorized(client, options.recovery_key_file):
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
