"""A restore destroys credentials again, and believes the vault's own list, not its answers."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import httpx
import pytest

from deploy.backup.vault import RECORDS, destroy
from deploy.local.ports import LOOPBACK
from deploy.local.processes import PartFailed
from tests.waiting import IN_THE_CLEAR


@asynccontextmanager
async def vault(path: str, *names: str) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of a server that agrees to everything, and lists these names at one path for ever.

    It has two transit engines, as after a rotation.
    """
    mounts = {"transit/": {"type": "transit"}, "transit-2/": {"type": "transit"}, "secret/": {"type": "kv"}}

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r")[0] or 0))
        listed = names if head.startswith(f"list /{path} ") else ()
        answer = mounts if head.startswith("get /sys/mounts ") else {"keys": listed}
        body = json.dumps({"data": answer}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        writer.close()

    async with await asyncio.start_server(speak, LOOPBACK, 0) as listener:
        address = f"http://{LOOPBACK}:{listener.sockets[0].getsockname()[1]}"
        async with httpx.AsyncClient(verify=IN_THE_CLEAR, base_url=address, trust_env=False) as client:
            yield client


@pytest.mark.parametrize("path", ["transit/keys", "transit-2/keys", RECORDS])
async def test_a_credential_that_is_still_in_the_vault_is_told(path: str) -> None:
    """The vault said that it deleted both parts; the restore fails, so the stack does not start."""
    kept, gone = uuid4(), uuid4()
    async with vault(path, str(kept), "brokers-own") as client:
        with pytest.raises(PartFailed, match="still holds 1 credentials"):
            await destroy(client, [kept, gone])

        await destroy(client, [gone])
