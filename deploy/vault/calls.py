"""Requests to the vault's API with root's rights: calls, records of its KV store, and mounts."""

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx

Answer = dict[str, Any]

UPGRADE_SECONDS, POLL_SECONDS = 20, 0.05
# What the vault answers about an accessor that it does not know.
ENDED = (httpx.codes.BAD_REQUEST, httpx.codes.NOT_FOUND)


class Refused(Exception):
    """The vault holds something else at a path of ours."""


async def call(client: httpx.AsyncClient, method: str, path: str, body: Answer | None = None) -> Answer:
    """Call the vault's API; raises httpx.HTTPStatusError with the path but without a secret."""
    response = (await client.request(method, path, json=body)).raise_for_status()
    answer: Answer = response.json() if response.content else {}
    return answer


async def names(client: httpx.AsyncClient, path: str) -> list[str]:
    """Return the names under a path, none if there is nothing."""
    response = await client.request("LIST", path)
    if response.status_code == httpx.codes.NOT_FOUND:
        return []
    found: list[str] = response.raise_for_status().json()["data"]["keys"]
    return found


async def record(client: httpx.AsyncClient, path: str) -> Answer:
    """Return a record of the KV store; an absent record is empty."""
    response = await client.get(path)
    if response.status_code == httpx.codes.NOT_FOUND:
        return {}
    found: Answer = response.raise_for_status().json()["data"]["data"]
    return found


async def token_by(client: httpx.AsyncClient, act: str, accessor: str) -> Answer:
    """Look a token up by its accessor, or revoke it; the answer about one that has ended is empty."""
    answer = await client.post(f"auth/token/{act}-accessor", json={"accessor": accessor})
    if answer.status_code in ENDED:
        return {}
    found: Answer | None = answer.raise_for_status().json()["data"] if answer.content else None
    return found or {}


async def create(client: httpx.AsyncClient, path: str, content: Mapping[str, Any]) -> None:
    """Write a record unless one exists."""
    body = {"options": {"cas": 0}, "data": dict(content)}
    response = await client.post(path, json=body)
    if response.status_code != httpx.codes.BAD_REQUEST or "check-and-set" not in response.text:
        response.raise_for_status()


async def mount(client: httpx.AsyncClient, engines: Mapping[str, Answer]) -> frozenset[str]:
    """Mount the engines that are missing, and return their paths; raises Refused for another kind."""
    mounted = {kind: (await call(client, "GET", kind))["data"] for kind in ("sys/mounts", "sys/auth")}
    missing = set()
    for path, engine in engines.items():
        kind, _, name = path.rpartition("/")
        found = mounted[kind].get(f"{name}/")
        if found is None:
            await call(client, "POST", path, engine)
            if engine["type"] == "kv":
                await _until_upgraded(client, name)
            missing.add(path)
        elif any(found[key] != wanted for key, wanted in engine.items()):
            raise Refused(
                f"{path} is another engine than {engine}: it is {found['type']}, {found['options']}"
            )
    return frozenset(missing)


async def _until_upgraded(client: httpx.AsyncClient, name: str) -> None:
    """Wait until a new KV store has made itself one of version 2; before, it answers 400 to everything."""
    deadline = time.monotonic() + UPGRADE_SECONDS
    while (response := await client.get(f"{name}/data/any")).status_code == httpx.codes.BAD_REQUEST:
        if time.monotonic() > deadline:
            response.raise_for_status()
        await asyncio.sleep(POLL_SECONDS)


def now() -> str:
    """Return the time as records have it."""
    return datetime.now(UTC).replace(microsecond=0).isoformat()
