"""The accounts of the bench: at the simulated exchange, and connected to our gateway."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import UUID

import httpx
import msgspec

from contracts.exchanges.okx import OKX
from deploy.local.demo import ACCOUNTS
from deploy.local.ports import LOOPBACK
from deploy.private_files import write_private

USERS = 64
AT_ONCE = 8
CALL_SECONDS = 60
# Tokens last 15 minutes.
SIGNED_IN_SECONDS = 600
PASSWORD = "correct horse battery"
# An account with 200 assets, for the bench of reads.
LARGE = "large"
WALLETS = """trading = [
    { ccy = "BTC", eq = "0.049", cashBal = "0.049", availBal = "0.04", frozenBal = "0.009" },
    { ccy = "SOL", eq = "12.5", cashBal = "12.5", availBal = "12.5" },
    { ccy = "USDT", eq = "1834.3170936", cashBal = "1834.3170936", availBal = "1834.3170936" },
]
funding = [{ ccy = "ETH", bal = "1.5", availBal = "1.5" }, { ccy = "USDT", bal = "100", availBal = "100" }]"""
GENERATED = 'generated = { assets = 200, price = "1.25" }'


class Connected(msgspec.Struct):
    """The ids of connected accounts by name, and the users with their names of accounts."""

    accounts: dict[str, str] = {}
    users: dict[str, list[str]] = {}


def names(count: int) -> list[str]:
    """Return the names of so many accounts."""
    return [f"bench-{number}" for number in range(count)]


def credentials(name: str) -> dict[str, str]:
    """Return the credentials of an account."""
    number = 0 if name == LARGE else int(name.removeprefix("bench-")) + 1
    return {
        "api_key": str(UUID(int=number + 2**64)),
        "api_secret": f"{number:032X}",
        "passphrase": f"Bench-Passphrase-{number}",
    }


def write_accounts(file: Path, count: int) -> Path:
    """Write the accounts of the simulated exchange."""
    blocks = [_block(name, WALLETS) for name in names(count)]
    file.write_text("\n".join([ACCOUNTS.read_text(), *blocks, _block(LARGE, GENERATED)]))
    file.chmod(0o644)
    return file


def _block(name: str, wallets: str) -> str:
    fields = "\n".join(f'{field} = "{value}"' for field, value in credentials(name).items())
    uid = UUID(credentials(name)["api_key"]).int % 2**64
    return (
        f'\n[[accounts]]\nname = "{name}"\n{fields}\nregion = "global"\nuid = "88{uid:010}"\n'
        f'permissions = ["read_only"]\n{wallets}\n'
    )


class Ours:
    """The users of our gateway with their accounts, which a file keeps from one run to the next."""

    def __init__(self, api: str, kept: Path) -> None:
        self._kept = kept
        self._client = httpx.AsyncClient(base_url=f"{api}/api/v1", timeout=CALL_SECONDS, trust_env=False)
        self._connected = Connected()
        self._tokens: dict[str, str] = {}
        self._signed_in = 0.0
        if kept.exists():
            self._connected = msgspec.json.decode(kept.read_bytes(), type=Connected)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def connect(self, wanted: Sequence[str]) -> None:
        """Connect the accounts that are not connected yet."""
        places = asyncio.Semaphore(AT_ONCE)
        missing = [name for name in wanted if name not in self._connected.accounts]
        users = [f"bench-{number}@example.com" for number in range(min(USERS, len(wanted)))]
        if missing:
            await self.sign_in(users)

        async def one(index: int, name: str) -> None:
            async with places:
                await self._connect(users[index % len(users)], name)

        try:
            async with asyncio.TaskGroup() as group:
                for index, name in enumerate(missing):
                    group.create_task(one(index, name))
        finally:
            write_private(self._kept, msgspec.json.encode(self._connected))

    async def sign_in(self, users: Sequence[str] = ()) -> None:
        """Sign in the users of accounts, or these, and register those that are not known."""
        for email in users or self._connected.users:
            login = {"email": email, "password": PASSWORD}
            if email not in self._connected.users:
                await self._client.post("/auth/register", json=login)
                self._connected.users[email] = []
            answer = (await self._client.post("/auth/login", json=login)).raise_for_status()
            self._tokens[email] = answer.json()["access_token"]
        self._signed_in = time.monotonic()

    async def stay_signed_in(self) -> None:
        """Sign in all users again if their tokens may end during the next measurement."""
        if not self._tokens or time.monotonic() - self._signed_in > SIGNED_IN_SECONDS:
            await self.sign_in()

    def sync(self, name: str) -> bytes:
        """Return a request to sync an account and wait for the outcome, as bytes to send."""
        return self._request(name, "POST", "/sync", "Prefer: wait=60\r\nContent-Length: 0\r\n")

    def read(self, name: str, what: str) -> bytes:
        """Return a request to read an account (`what` is empty, or /balances, or /holdings)."""
        return self._request(name, "GET", what, "")

    async def contents(self, name: str, reads: Mapping[str, str]) -> dict[str, bytes]:
        """Sync an account once, and return the bytes of its reads; raises httpx.HTTPStatusError."""
        email = self._user(name)
        headers = {"Authorization": f"Bearer {self._tokens[email]}", "Prefer": "wait=60"}
        base = f"/accounts/{self._connected.accounts[name]}"
        (await self._client.post(f"{base}/sync", headers=headers)).raise_for_status()
        return {
            each: (await self._client.get(f"{base}{path}", headers=headers)).raise_for_status().content
            for each, path in reads.items()
        }

    def _user(self, name: str) -> str:
        return next(user for user, held in self._connected.users.items() if name in held)

    def _request(self, name: str, method: str, what: str, more: str) -> bytes:
        email = self._user(name)
        path = f"/api/v1/accounts/{self._connected.accounts[name]}{what}"
        return (
            f"{method} {path} HTTP/1.1\r\nHost: {LOOPBACK}\r\nAuthorization: Bearer {self._tokens[email]}\r\n"
            f"{more}\r\n"
        ).encode()

    async def _connect(self, user: str, name: str) -> None:
        submission = {
            "exchange": OKX.key,
            "name": name,
            "region": "global",
            "credentials": credentials(name),
        }
        headers = {"Authorization": f"Bearer {self._tokens[user]}"}
        answer = await self._client.post("/accounts", json=submission, headers=headers)
        if answer.is_error:
            raise RuntimeError(f"{name} can not be connected: {json.dumps(answer.json())}")
        self._connected.accounts[name] = answer.json()["id"]
        self._connected.users[user].append(name)
