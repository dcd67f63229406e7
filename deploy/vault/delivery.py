"""A new secret id of the broker on its way, wrapped by the vault, so that a second reader is noticed.

The wrapping token opens it once, at its own path, within an hour.
"""

import json
from datetime import UTC, datetime
from pathlib import Path

import httpx
import msgspec

from deploy.private_files import write_private
from deploy.vault.calls import Answer, call, names, token_by
from deploy.vault.engines import BROKER

ROLE = f"auth/approle/role/{BROKER}"
SECRET_IDS = f"{ROLE}/secret-id"
TTL = "1h"


class NotDelivered(Exception):
    """A delivery is not what the vault has made for the broker, or was opened before."""


class Delivery(msgspec.Struct, frozen=True):
    """What goes to the broker's machine: the role's id, and the token that opens the secret id once."""

    role_id: str
    token: str


class SecretId(msgspec.Struct, frozen=True):
    """A secret id, and the name by which the vault knows it."""

    secret_id: str
    secret_id_accessor: str


def metadata() -> Answer:
    """Return the part of a request for a secret id that tells brokers when it was made."""
    return {"metadata": json.dumps({"created": datetime.now(UTC).isoformat()})}


async def deliver(client: httpx.AsyncClient) -> Delivery:
    """Have the vault make and wrap a secret id, with root's rights; raises NotDelivered without the role."""
    found = await client.get(ROLE)
    if found.status_code == httpx.codes.NOT_FOUND:
        raise NotDelivered("the broker has no AppRole: it logs in with the token of its pod")
    # Tokens are bound to the same networks; the vault shows those of tokens in another form than it takes.
    networks = found.raise_for_status().json()["data"]["secret_id_bound_cidrs"] or []
    bound = {"cidr_list": networks, "token_bound_cidrs": networks}
    role_id = (await call(client, "GET", f"{ROLE}/role-id"))["data"]["role_id"]
    answer = await client.post(SECRET_IDS, json={**bound, **metadata()}, headers={"X-Vault-Wrap-TTL": TTL})
    return Delivery(role_id, answer.raise_for_status().json()["wrap_info"]["token"])


async def receive(client: httpx.AsyncClient, delivery: Delivery) -> SecretId:
    """Open a delivery, which needs no other token; raises NotDelivered."""
    used = NotDelivered(
        "the delivery does not open: someone has read it, or an hour has passed. Unless you know who, end "
        "what they may have: destroy the secret ids of the role (--renew-login), and make a new delivery"
    )
    looked = await client.post("sys/wrapping/lookup", json={"token": delivery.token})
    if looked.is_client_error:
        raise used
    path = looked.raise_for_status().json()["data"]["creation_path"]
    if path != SECRET_IDS:
        raise NotDelivered(f"someone has replaced it: the delivery is of {path}, not of the broker's login")
    opened = await client.post("sys/wrapping/unwrap", headers={"X-Vault-Token": delivery.token})
    if opened.is_client_error:
        raise used
    return msgspec.convert(opened.raise_for_status().json()["data"], SecretId)


async def end_earlier(client: httpx.AsyncClient, newest: str) -> None:
    """Destroy all secret ids but the one with this accessor, and the tokens that came of them."""
    known = await names(client, SECRET_IDS)
    if newest not in known:
        raise NotDelivered("the vault does not know the new secret id: nothing is destroyed")
    made = (await _lookup(client, newest))["metadata"].get("created")
    for accessor in {*known} - {newest}:
        await call(client, "POST", f"{ROLE}/secret-id-accessor/destroy", {"secret_id_accessor": accessor})
    for accessor in await names(client, "auth/token/accessors"):
        token = await token_by(client, "lookup", accessor)
        if BROKER in token.get("policies", []) and (token.get("meta") or {}).get("created") != made:
            await token_by(client, "revoke", accessor)


async def newest_secret_id(client: httpx.AsyncClient) -> str:
    """Return the accessor of the secret id that was made last; raises NotDelivered without one."""
    times = {
        accessor: (await _lookup(client, accessor))["creation_time"]
        for accessor in await names(client, SECRET_IDS)
    }
    if not times:
        raise NotDelivered("the broker has no secret id")
    return max(times, key=lambda accessor: datetime.fromisoformat(times[accessor]))


async def _lookup(client: httpx.AsyncClient, accessor: str) -> Answer:
    path = f"{ROLE}/secret-id-accessor/lookup"
    found: Answer = (await call(client, "POST", path, {"secret_id_accessor": accessor}))["data"]
    return found


async def write_delivery(client: httpx.AsyncClient, file: Path) -> None:
    """Write a delivery to a file, for the broker's machine."""
    write_private(file, msgspec.json.encode(await deliver(client)))


async def open_delivery(client: httpx.AsyncClient, file: Path, role_id: Path, secret_id: Path) -> None:
    """Open the delivery of a file on the broker's machine, and write the broker's login."""
    try:
        delivery = msgspec.json.decode(file.read_bytes(), type=Delivery)
    except msgspec.MsgspecError:
        raise NotDelivered(f"{file} is not a valid delivery") from None
    received = await receive(client, delivery)
    write_private(role_id, delivery.role_id.encode())
    write_private(secret_id, received.secret_id.encode())
    file.unlink()
