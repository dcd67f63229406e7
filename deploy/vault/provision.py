"""Provisioning the vault for the broker: engines, policy, login and keys.

Each step is idempotent, so an interrupted provisioning can run again.
"""

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from contracts.wire.pinning import read_fingerprints, sealing_key_fingerprint
from contracts.wire.sealing import SealingKey
from deploy.private_files import write_private
from deploy.vault.calls import Answer, Refused, call, create, mount, now, record, token_by
from deploy.vault.delivery import metadata
from deploy.vault.engines import BROKER, Engines, admit, fingerprints, settle
from deploy.vault.policy import broker_policy
from vault_broker.paths import EARLIER_SEALING_KEY, SEALING_KEY

# With lockout, five wrong logins with the public role id would lock the broker out. It is not needed, because
# a secret id is too long to guess.
NO_LOCKOUT = {"user_lockout_config": {"lockout_disable": True}}
MOUNTS: dict[str, Answer] = {
    "sys/mounts/secret": {"type": "kv", "options": {"version": "2"}},
    "sys/auth/approle": {"type": "approle"},
}
PODS: dict[str, Answer] = {"sys/auth/kubernetes": {"type": "kubernetes"}}
# The audience of the broker's token: the API server accepts no token that is meant for the vault.
AUDIENCE = "vault"
# The fields of the record of sealing keys, as vault_broker/sealing_keys.py reads them.
PRIVATE, OTHER, MADE = "private_key", "other_private_key", "created"
# What the other key is for a rotation by command: gateways pin a predecessor no more.
OTHER_IS, SUCCESSOR, PREDECESSOR = "other_is", "successor", "predecessor"
FINGERPRINTS = ("WRAPPING_KEY_FINGERPRINT", "SEALING_KEY_FINGERPRINT")
# Increment it when a step below changes but no input of `state` does.
STEPS = 2
# How often a rotation of the wrapping key writes the record of the engines, and once more.
STEPS_OF_A_ROTATION = 5


@dataclass(frozen=True, slots=True)
class Cluster:
    """The Kubernetes cluster whose broker logs in with a token of its pod, and the namespace of the broker.

    Without `ca` (PEM) and `reviewer` (a token that may review others) the vault runs in the cluster itself,
    and uses those of its own pod.
    """

    namespace: str
    host: str
    ca: str = ""
    reviewer: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of provisioning a vault.

    A login or token of a broker works only in the networks `brokers`, everywhere if it is empty. `renewed`
    revokes the broker's tokens and gives it a new secret id, even if the old one works. `alone` means that
    only this system uses the vault: then all other tokens are revoked, too, with a remaining root token.
    With `cluster` the broker logs in by Kubernetes auth: it gets no secret id, and its AppRole is deleted.
    """

    brokers: tuple[str, ...] = ()
    renewed: bool = False
    alone: bool = False
    cluster: Cluster | None = None

    @property
    def role(self) -> Answer:
        """Return the broker's role; its secret id has unlimited uses for a login at each start."""
        return {
            "token_policies": [BROKER],
            "token_no_default_policy": True,
            "token_period": "15m",
            "token_bound_cidrs": [*self.brokers],
            "secret_id_bound_cidrs": [*self.brokers],
        }

    def pod_role(self, cluster: Cluster) -> Answer:
        """Return the role for the token of one service account in one namespace, and for one audience."""
        return {
            "bound_service_account_names": [BROKER],
            "bound_service_account_namespaces": [cluster.namespace],
            "audience": AUDIENCE,
            **{key: value for key, value in self.role.items() if key.startswith("token_")},
        }

    @property
    def secret_id(self) -> Answer:
        """Return the networks where a secret id of that role works."""
        return {"cidr_list": [*self.brokers], "token_bound_cidrs": [*self.brokers]}


@dataclass(frozen=True, slots=True)
class Handover:
    """The files that provisioning writes for the services: the broker's login, the gateway's fingerprints."""

    role_id_file: Path
    secret_id_file: Path
    fingerprints_file: Path

    @property
    def complete(self) -> bool:
        """Return whether all files exist."""
        return all(path.exists() for path in (self.role_id_file, self.secret_id_file, self.fingerprints_file))


def state(terms: Terms) -> bytes:
    """Return the hash of the state that provisioning sets up; if it differs, provisioning must run again."""
    wanted = [STEPS, broker_policy(), terms.role, terms.secret_id, NO_LOCKOUT, MOUNTS]
    return hashlib.sha256(json.dumps(wanted).encode()).hexdigest().encode()


async def provision(client: httpx.AsyncClient, files: Handover, terms: Terms, *, new: bool = False) -> None:
    """Provision a vault with root's rights and write the files; raises httpx.HTTPError and calls.Refused.

    If the login is renewed, earlier tokens are revoked, because they may have excess rights. `new` says that
    the vault was just initialised.
    """
    await mount(client, MOUNTS | PODS if terms.cluster else MOUNTS)
    await call(client, "POST", "sys/auth/approle/tune", NO_LOCKOUT)
    engines = await _settle_engines(client, new=new)
    if terms.cluster:
        await _admit_pods(client, terms, terms.cluster)
    else:
        await call(client, "POST", f"auth/approle/role/{BROKER}", terms.role)
    wrapping = await fingerprints(client, engines)
    sealing = ",".join(sealing_key_fingerprint(key.public) for key in await _settle_sealing_keys(client))
    write_pinned(files.fingerprints_file, dict(zip(FINGERPRINTS, (wrapping, sealing), strict=True)))
    if terms.renewed or not (terms.cluster or await _login_is_good(client, files, terms)):
        if not terms.cluster:
            await _renew_login(client, files, terms)
        await _revoke_tokens(client, alone=terms.alone)


async def _settle_engines(client: httpx.AsyncClient, *, new: bool) -> Engines:
    """Return the engines after writing the policy for them; raises Refused while a rotation changes them."""
    engines = await settle(client, new=new)
    for _ in range(STEPS_OF_A_ROTATION):
        await admit(client, engines)
        before, engines = engines, await settle(client, new=False)
        if engines == before:
            return engines
    raise Refused("a rotation of the wrapping key changes the engines: run this again when it has ended")


def pinned_fingerprints(path: Path) -> Mapping[str, str]:
    """Read the gateway's two settings from the file or the output of provisioning.

    Raises ValueError if one is missing or not valid.
    """
    pinned = dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)
    for name in FINGERPRINTS:
        try:
            read_fingerprints(pinned.get(name, ""))
        except ValueError as error:
            raise ValueError(f"{path} has no valid {name}: {error}") from None
    return {name: pinned[name] for name in FINGERPRINTS}


def write_pinned(path: Path, pinned: Mapping[str, str]) -> None:
    """Write the gateway's two settings."""
    write_private(path, "".join(f"{name}={pinned[name]}\n" for name in FINGERPRINTS).encode())


async def _admit_pods(client: httpx.AsyncClient, terms: Terms, cluster: Cluster) -> None:
    """Set up the login with the token of the broker's pod, and delete the AppRole with its secret ids."""
    reviewing = {
        "kubernetes_host": cluster.host,
        "kubernetes_ca_cert": cluster.ca,
        "token_reviewer_jwt": cluster.reviewer,
    }
    await call(client, "POST", "auth/kubernetes/config", reviewing)
    await call(client, "POST", f"auth/kubernetes/role/{BROKER}", terms.pod_role(cluster))
    await call(client, "DELETE", f"auth/approle/role/{BROKER}")


async def _settle_sealing_keys(client: httpx.AsyncClient) -> list[SealingKey]:
    """Return the key pairs to pin: the one to which gateways seal, and in a rotation the other.

    Creates the first if it does not exist, equal at both paths. A broker of the previous release may create
    one at the earlier path at the same time: the first one stays.
    """
    if not await record(client, SEALING_KEY):
        made = {PRIVATE: b64encode(SealingKey.generate().private_bytes()).decode(), MADE: now()}
        await create(client, EARLIER_SEALING_KEY, made)
        await create(client, SEALING_KEY, await record(client, EARLIER_SEALING_KEY) or made)
    settled = await record(client, SEALING_KEY)
    if (await record(client, EARLIER_SEALING_KEY)).get(PRIVATE) != settled[PRIVATE]:
        await call(client, "POST", EARLIER_SEALING_KEY, {"data": settled})
    return pinned_sealing_keys(settled)


def pinned_sealing_keys(content: Answer) -> list[SealingKey]:
    """Return the key pairs of a record that gateways pin, the one in use first."""
    pinned = (PRIVATE,) if content.get(OTHER_IS) == PREDECESSOR else (PRIVATE, OTHER)
    return [SealingKey.from_bytes(b64decode(content[name])) for name in pinned if name in content]


async def _login_is_good(client: httpx.AsyncClient, files: Handover, terms: Terms) -> bool:
    """Return whether the login in the files belongs to the role and works in its networks."""
    if not files.role_id_file.exists() or not files.secret_id_file.exists():
        return False
    role = f"auth/approle/role/{BROKER}"
    role_id = (await call(client, "GET", f"{role}/role-id"))["data"]["role_id"]
    # The vault answers 204 for an unknown secret id.
    secret_id = files.secret_id_file.read_text()
    found = await call(client, "POST", f"{role}/secret-id/lookup", {"secret_id": secret_id})
    known = found.get("data", {})
    there = {key: known.get(key) or [] for key in terms.secret_id}
    return files.role_id_file.read_text() == role_id and bool(known) and there == terms.secret_id


async def _renew_login(client: httpx.AsyncClient, files: Handover, terms: Terms) -> None:
    """Write the broker's login with a new secret id, then destroy earlier secret ids."""
    role = f"auth/approle/role/{BROKER}"
    role_id = (await call(client, "GET", f"{role}/role-id"))["data"]["role_id"]
    login = (await call(client, "POST", f"{role}/secret-id", {**terms.secret_id, **metadata()}))["data"]
    write_private(files.role_id_file, role_id.encode())
    write_private(files.secret_id_file, login["secret_id"].encode())
    known = (await call(client, "LIST", f"{role}/secret-id"))["data"]["keys"]
    for accessor in set(known) - {login["secret_id_accessor"]}:
        await call(client, "POST", f"{role}/secret-id-accessor/destroy", {"secret_id_accessor": accessor})


async def _revoke_tokens(client: httpx.AsyncClient, *, alone: bool) -> None:
    """Revoke the tokens of the broker; with `alone`, all tokens except our own."""
    own = (await call(client, "GET", "auth/token/lookup-self"))["data"]["accessor"]
    known = (await call(client, "LIST", "auth/token/accessors"))["data"]["keys"]
    for accessor in set(known) - {own}:
        if alone or BROKER in (await token_by(client, "lookup", accessor)).get("policies", []):
            await token_by(client, "revoke", accessor)
