"""An exchange over TLS that responds with the bytes a test sets, and keeps its requests."""

import asyncio
import json
import re
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from contracts.credentials import SignedRead
from contracts.values import Secret
from deploy.local.certificates import Identity
from deploy.local.ports import LOOPBACK

Script = Callable[[asyncio.StreamWriter], Awaitable[None]]

BALANCE = "/api/v5/account/balance"
FUNDING = "/api/v5/asset/balances"
VALUATION = "/api/v5/asset/asset-valuation?ccy=USD"
CONFIG = "/api/v5/account/config"
TIME = "/api/v5/public/time"
SAVINGS = "/api/v5/finance/savings/balance"
ORDERS = "/api/v5/finance/staking-defi/orders-active"
DUAL = "/api/v5/finance/sfp/dcd/order-history?limit=100"
ETH, SOL = (f"/api/v5/finance/staking-defi/{coin}/balance" for coin in ("eth", "sol"))
REWARDS = "/api/v5/finance/stable-rewards/balance"
LOANS = "/api/v5/finance/flexible-loan/loan-info"
EARN = (SAVINGS, ORDERS, DUAL, ETH, SOL, REWARDS, LOANS)
POSITIONS = "/api/v5/account/positions"
SIGNED = (BALANCE, FUNDING, VALUATION, CONFIG, POSITIONS, *EARN)

# The other fields of a row, each empty, which means that it does not apply.
TRADING_ROW = dict.fromkeys(("ccy", "eq", "eqUsd", "availEq", "availBal", "frozenBal", "liab"), "")
FUNDING_ROW = dict.fromkeys(("ccy", "bal", "availBal", "frozenBal"), "")


def read_of(target: str, headers: Mapping[str, Secret] | None = None) -> SignedRead:
    """Return a signed read of a target."""
    return SignedRead("read", "GET", target, dict(headers or {}))


class ScriptedExchange:
    """Answers each target by its script; `heads` and `bodies` are those of received requests, in order.

    `connections` are the targets of each connection. `closes` says whether it closes one when asked to.
    `greeting` is sent on each connection before any request; up to TLS 1.2 it comes with the handshake.
    """

    def __init__(self, identity: Identity, greeting: bytes = b"") -> None:
        self._greeting = greeting
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._tls.load_cert_chain(identity.certificate_path, identity.key_path)
        if greeting:
            self._tls.maximum_version = ssl.TLSVersion.TLSv1_2
        self.origin = ""
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.connections: list[list[str]] = []
        self.closes = True
        self.scripts: dict[str, Script] = {}
        self.forget()

    def forget(self) -> None:
        """Reset to the responses of an account that holds one BTC in each wallet."""
        self.heads.clear()
        self.bodies.clear()
        self.connections.clear()
        self.closes = True
        self.scripts = {
            TIME: the_time,
            BALANCE: trading({"ccy": "BTC", "eq": "1", "eqUsd": "64000"}),
            FUNDING: rows(FUNDING_ROW | {"ccy": "BTC", "bal": "1"}),
            VALUATION: rows({"details": {"trading": "64000", "funding": "64000"}}),
            CONFIG: config("read_only"),
            POSITIONS: rows(),
            **dict.fromkeys(EARN, rows()),
        }

    def refuse_all(self, script: Script) -> None:
        """Answer the reads of every wallet by a script."""
        self.scripts |= dict.fromkeys((BALANCE, FUNDING, *EARN), script)

    def targets(self) -> list[str]:
        """Return the received request targets."""
        return [head.split(b" ")[1].decode() for head in self.heads]

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["ScriptedExchange"]:
        """Listen on a free port."""
        server = await asyncio.start_server(self._accept, LOOPBACK, 0, ssl=self._tls, backlog=1024)
        self.origin = f"https://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
        yield self
        server.close()

    def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Coroutine[Any, Any, None]:
        writer.write(self._greeting)
        return self._serve(reader, writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(targets := [])
        last = False
        with suppress(OSError, asyncio.IncompleteReadError):
            while not (writer.is_closing() or (last and self.closes)):
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
                self.bodies.append(await reader.readexactly(int(length[1]) if length else 0))
                last = b"\r\nconnection: close" in head.lower()
                targets.append(head.split(b" ")[1].decode())
                if last and self.closes:
                    _say_last(writer)
                await self.scripts[targets[-1]](writer)
                await writer.drain()
        writer.close()


def _say_last(writer: asyncio.StreamWriter) -> None:
    """Let the next response say that it is the last one."""
    write = writer.write

    def write_closing(content: bytes) -> None:
        status, end, rest = content.partition(b"\r\n")
        write(status + end + b"connection: close\r\n" + rest if status.startswith(b"HTTP/1.1 ") else content)

    writer.write = write_closing  # type: ignore[method-assign, assignment] # for the rest of the connection


def response(body: bytes, status: str = "200 OK", headers: str = "content-type: application/json") -> Script:
    """Return a script that sends a complete response."""
    return raw(f"HTTP/1.1 {status}\r\n{headers}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)


def raw(content: bytes) -> Script:
    """Return a script that sends these bytes."""

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(content)

    return write


def rows(*data: Any) -> Script:
    """Return a script that sends data."""
    return response(json.dumps({"code": "0", "msg": "", "data": data}).encode())


def trading(*details: dict[str, str], total: str = "") -> Script:
    """Return a script that sends a trading account."""
    return rows({"totalEq": total, "details": [TRADING_ROW | row for row in details]})


def config(perm: str, uid: str = "1") -> Script:
    """Return a script that sends the key's owner and rights."""
    return rows({"uid": uid, "mainUid": uid, "perm": perm, "ip": ""})


def refusal(code: Any, message: str = "", status: str = "200 OK") -> Script:
    """Return a script that sends a code, in the form without data."""
    return response(json.dumps({"msg": message, "code": code}).encode(), status)


def first(script: Script, then: Script) -> Script:
    """Return a script with one response to the first request, and another to all others."""
    left = [script]

    async def answer(writer: asyncio.StreamWriter) -> None:
        await (left.pop() if left else then)(writer)

    return answer


async def hang(writer: asyncio.StreamWriter) -> None:
    """Never respond; ends when the client disconnects."""
    while not writer.is_closing():  # noqa: ASYNC110 - a stream has no event for that
        await asyncio.sleep(0.02)


async def trickle(writer: asyncio.StreamWriter) -> None:
    """Respond a byte at a time, without an end."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b" ")
        await asyncio.sleep(0.02)


async def reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection."""
    writer.transport.abort()


async def cut(writer: asyncio.StreamWriter) -> None:
    """Close the connection in the middle of a body."""
    writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{"code":"0","data":[')
    writer.close()


async def endless(writer: asyncio.StreamWriter) -> None:
    """Respond in chunks without an end."""
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    with suppress(OSError):
        while not writer.is_closing():
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(0)  # drain alone never yields once the other side has gone away


async def the_time(writer: asyncio.StreamWriter) -> None:
    """Send the true time."""
    await rows({"ts": str(int(time.time() * 1000))})(writer)
