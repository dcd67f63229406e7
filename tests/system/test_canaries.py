"""No log, message or response holds a credential, not even at debug level, nor during failures."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import psutil
import pytest_asyncio
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from contracts import subjects
from contracts.wire.bus_users import GATEWAY, SYNC_WORKER
from deploy.local.services import MODULES
from deploy.local.stack import Stack
from tests.conformance.simulated import Admin
from tests.conformance.table import BALANCE, CONFIG, FUNDING_LIST, damaged
from tests.system.person import PASSWORD, Person, credentials
from tests.tapping import Tap, taken, tapped
from tests.waiting import passed, until

FAULTS = (
    {"fault": "refusal", "code": "50105"},
    {"fault": "page"},
    {"fault": "reset"},
    {"fault": "redirect"},
    {"fault": "gzip-bomb"},
    damaged("replaced", "eq", '"NaN"'),
    damaged("doubled", "code"),
)
# A value that no user has; it only appears where something goes wrong.
CANARY = {name: f"canary-{name}-{uuid4()}" for name in ("api_key", "api_secret", "passphrase", "password")}


@pytest_asyncio.fixture(name="tap")
async def _tap(stack: Stack) -> AsyncIterator[Tap]:
    async with tapped(stack.parts.nats) as tap:
        yield tap


def forms(secret: bytes) -> set[bytes]:
    """Return the forms in which a secret could be written: raw, hex, base64 at any offset, URL-encoded."""
    aligned = {b64encode(b"x" * shift + secret)[4:-4] for shift in range(3)}
    quoted = quote(secret, safe="").encode()
    return {secret, secret.hex().encode(), secret.hex().upper().encode(), quoted, *aligned}


def secrets_of(stack: Stack, person: Person) -> dict[str, bytes]:
    """Return every secret by a name that may be shown."""
    keys = stack.parts.directory / "keys"
    found = {
        f"{name} of {account}": value
        for account in ("plain", "trade-enabled")
        for name, value in credentials(account).items()
    }
    found |= {f"canary {name}": value for name, value in CANARY.items()}
    found |= {"password": PASSWORD, "access token": person.tokens["access_token"]}
    found |= {"refresh token": person.tokens["refresh_token"]}
    files = [*keys.glob("*.password"), *keys.glob("*.nk"), keys / "broker.secret_id"]
    secret = {name: value.encode() for name, value in found.items()}
    secret |= {path.name: path.read_bytes().strip() for path in files}
    for name in ("jwt.pem", "grant.pem"):
        key = load_pem_private_key((keys / name).read_bytes(), None)
        secret[name] = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    return secret


def written(stack: Stack) -> Iterator[tuple[str, bytes]]:
    """Yield all that the system wrote (logs, streams, tables, WAL, the vault's storage) and received."""
    for folder in ("logs", "nats", "postgres", "openbao"):
        for path in (stack.parts.directory / folder).rglob("*"):
            # The server's own configuration holds public keys only, except for the seal's.
            if path.is_file() and path.name != "seal.key":
                yield f"{folder}/{path.name}", path.read_bytes()
    for process in psutil.Process().children(recursive=True):
        told = Path(f"/proc/{process.pid}")
        with suppress(PermissionError):  # a service hides it from its own user, but not from root
            yield f"environment of {process.name()}", (told / "environ").read_bytes()
        yield f"command of {process.name()}", (told / "cmdline").read_bytes()


async def answers_to_bad_input(person: Person) -> list[tuple[str, bytes]]:
    """Submit secrets in every place where they can be wrong, and return the responses."""
    submitted = {"exchange": "okx", "name": "x", "region": "global"}
    keys = {name: CANARY[name] for name in ("api_key", "api_secret", "passphrase")}
    login = {"email": person.email, "password": CANARY["password"]}
    bodies: list[tuple[str, Any]] = [
        ("/accounts", submitted | {"credentials": keys}),
        ("/accounts", submitted | {"credentials": keys | {"api_secret": [CANARY["api_secret"]]}}),
        ("/accounts", submitted | {"credentials": keys | {CANARY["passphrase"]: 1}}),
        ("/accounts", submitted | {"credentials": CANARY["api_secret"]}),
        ("/accounts", submitted | {"region": CANARY["api_key"], "credentials": keys}),
        ("/accounts", submitted | {"name": CANARY["api_secret"] * 4, "credentials": keys}),
        ("/auth/login", login),
        ("/auth/login", login | {"email": CANARY["password"]}),
        ("/auth/register", login | {"password": [CANARY["password"]]}),
        ("/auth/refresh", {"refresh_token": CANARY["password"]}),
        ("/auth/refresh", {"refresh_token": {"token": CANARY["password"]}}),
    ]
    answers = [(path, (await person.client.post(path, json=body)).content) for path, body in bodies]
    torn = json.dumps(submitted | {"credentials": keys})[:-3]
    json_type = {"Content-Type": "application/json"}
    unreadable = await person.client.post("/accounts", content=torn, headers=json_type)
    assert unreadable.json()["code"] == "invalid_input"
    return [*answers, ("torn", unreadable.content)]


async def say_what_nobody_can_read(tap: Tap) -> None:
    """Publish messages that fail to be read at the position of a secret (B22)."""
    for subject, account in (
        (subjects.STORE, GATEWAY.account),
        (subjects.AUTHORIZE, SYNC_WORKER.account),
        (subjects.verify("okx"), GATEWAY.account),
    ):
        body = {"credential_id": CANARY["api_key"], "grant": [CANARY["api_secret"]], **CANARY}
        await tap.say(account, subject, json.dumps(body).encode(), "canary")
    await taken(*tap.clients.values())


async def sync_in_trouble(person: Person, admin: Admin, path: str) -> list[tuple[str, bytes]]:
    """Sync with one fault after the other switched on, and return the responses."""
    answers = []
    for fault in FAULTS:
        for endpoint in (BALANCE, FUNDING_LIST, CONFIG):
            if fault.get("field") != "eq" or endpoint == BALANCE:
                await admin.put("plain", endpoint, fault)
        answers.append(await person.client.post(f"{path}/sync", headers={"Prefer": "wait=1"}))
        body = {"credentials": credentials("plain")}
        answers.append(await person.client.put(f"{path}/credentials", json=body))
        for endpoint in (BALANCE, FUNDING_LIST, CONFIG):
            await admin.clear("plain", endpoint)
        await until(passed(0.5))
    return [("answer", answer.content) for answer in answers]


async def test_no_credential_is_written_down_or_said(
    person: Person, stack: Stack, tap: Tap, admin: Admin
) -> None:
    """After all successes and failures, no message, file, metric, response or environment holds a secret."""
    account = await person.connect("plain")
    path = f"/accounts/{account['id']}"
    await person.post(f"{path}/sync")
    await person.put(f"{path}/credentials", {"credentials": credentials("plain")})
    await person.connect("trade-enabled", 422)
    said = await sync_in_trouble(person, admin, path)
    told = [*said, *await answers_to_bad_input(person)]
    messages = [message for account in (await tap.all()).values() for message in account]
    heard = [(each.subject, json.dumps(each.headers).encode() + each.data) for each in messages]
    await say_what_nobody_can_read(tap)

    async with httpx.AsyncClient(trust_env=False) as client:
        told += [
            ("metrics", (await client.get(f"{stack.operations(service)}/metrics")).content)
            for service in MODULES
        ]
    hunted = {form: name for name, secret in secrets_of(stack, person).items() for form in forms(secret)}
    places = [*written(stack), *told, *heard]
    found = {(place, hunted[form]) for place, content in places for form in hunted if form in content}

    assert found == set()
    assert {subjects.STORE, subjects.AUTHORIZE, "butler.sync.requested.okx"} <= {name for name, _ in heard}
    logs = {place: content for place, content in places if place.startswith("logs/")}
    assert all(b'"debug"' in logs[f"logs/{service}.log"] for service in MODULES)
    assert b"malformed" in logs["logs/vault-broker.log"]
