"""The worker from outside: a gateway that sends requests, and the published outcomes."""

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nats.aio.client import Client
from nats.aio.msg import Msg
from uuid_utils.compat import uuid7

from chassis.bus.connection import Bus
from contracts import subjects
from contracts.credentials import Verify, VerifyReply
from contracts.exchanges.binance import BINANCE
from contracts.exchanges.okx import OKX
from contracts.faults import Code
from contracts.syncs import SyncOutcome, SyncRequested
from contracts.values import Secret
from contracts.wire.envelope import attributes, decode, encode
from contracts.wire.grants import VERIFY, Grant, sign_grant, sync_purpose
from contracts.wire.outcomes import whole
from deploy.local.ports import LOOPBACK
from deploy.local.processes import Program, Running
from deploy.simulator.binance.accounts import Account as BinanceAccount
from deploy.simulator.okx.accounts import Account
from gateway.accounts.broker import Broker
from gateway.accounts.credentials import Pinned
from tests.waiting import IN_THE_CLEAR

OUTCOME_SECONDS = 60.0
POLL_SECONDS = 0.02
# Accounts whose credentials are stored.
Keyed = Account | BinanceAccount


@dataclass(frozen=True)
class Service:
    """A running service: its address, its process, and its output."""

    address: str
    process: Running
    log: Path

    @classmethod
    def of(cls, program: Program, process: Running, log: Path) -> Self:
        """Describe the process of a program."""
        return cls(f"http://{LOOPBACK}:{program.environment['PORT']}", process, log)

    async def serves(self) -> bool:
        """Return whether it responds at all."""
        try:
            return (await self.get("/healthz")).is_success
        except httpx.TransportError:
            return False

    async def stops_serving(self) -> bool:
        """Return whether it stopped responding."""
        return not await self.serves()

    async def ready(self) -> bool:
        """Return whether it is ready."""
        return await self.serves() and (await self.get("/readyz")).is_success

    async def get(self, path: str) -> httpx.Response:
        """Query its health interface."""
        async with httpx.AsyncClient(
            verify=IN_THE_CLEAR, base_url=self.address, timeout=5, trust_env=False
        ) as client:
            return await client.get(path)

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Return its log lines of one kind."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]


class Worker(Service):
    """The sync-worker under test."""


class Gateway:
    """Stores credentials, requests syncs and verifications with grants, and receives every outcome."""

    def __init__(self, bus: Bus, key: Ed25519PrivateKey, pinned: Pinned) -> None:
        self._bus = bus
        self._vault = Broker(bus, pinned, key)
        self._key = key
        self._outcomes: dict[UUID, asyncio.Queue[SyncOutcome]] = {}
        self._dead_letters: asyncio.Queue[str] = asyncio.Queue()

    async def listen(self, admin: Client) -> None:
        """Receive the outcomes, through a user that may."""
        await admin.subscribe("butler.sync.completed.*", cb=self._on_outcome)
        await admin.subscribe("butler.sync.failed.*", cb=self._on_outcome)
        await admin.subscribe("butler.dead.>", cb=self._on_dead_letter)

    async def store(self, account: Keyed, secret: str | None = None, passphrase: str | None = None) -> UUID:
        """Put an account's credential into the vault, with other parts if given."""
        credential_id = uuid7()
        exchange = OKX if isinstance(account, Account) else BINANCE
        fields = {field.key: getattr(account, field.key) for field in exchange.typed[0].fields}
        fields |= {"api_secret": secret} if secret else {}
        fields |= {"passphrase": passphrase} if passphrase else {}
        secrets = {key: Secret(value) for key, value in fields.items()}
        await self._vault.store(credential_id, exchange, secrets)
        return credential_id

    def request(
        self,
        credential_id: UUID,
        region: str = "global",
        seconds: float = 30.0,
        exchange: str = "okx",
        lately_empty: tuple[str, ...] = (),
    ) -> SyncRequested:
        """Return a request with its grant."""
        sync_id, deadline = uuid7(), datetime.now(UTC) + timedelta(seconds=seconds)
        # An expired grant would hide how the worker treats an expired request.
        until_later = datetime.now(UTC) + timedelta(minutes=5)
        grant = sign_grant(Grant(credential_id, exchange, sync_purpose(sync_id), until_later), self._key)
        return SyncRequested(
            sync_id, uuid7(), credential_id, exchange, region, deadline, grant, lately_empty=lately_empty
        )

    async def publish(self, request: SyncRequested) -> None:
        """Put a request into the work queue."""
        self._outcomes[request.sync_id] = asyncio.Queue()
        message_id = f"{request.sync_id}:1"
        headers = attributes(request, "gateway", message_id, request.deadline)
        subject = subjects.sync_requested(request.exchange)
        await self._bus.publish(subject, "SYNC_REQUESTS", encode(request), message_id, headers)

    async def outcome(self, request: SyncRequested) -> SyncOutcome:
        """Wait for the outcome of a request."""
        async with asyncio.timeout(OUTCOME_SECONDS):
            return await self._outcomes[request.sync_id].get()

    async def sync(self, request: SyncRequested) -> SyncOutcome:
        """Publish a request and wait for its outcome."""
        await self.publish(request)
        return await self.outcome(request)

    async def verify(self, credential_id: UUID, region: str = "global", exchange: str = "okx") -> VerifyReply:
        """Request the verification of a credential."""
        deadline = datetime.now(UTC) + timedelta(seconds=15)
        grant = sign_grant(Grant(credential_id, exchange, VERIFY, deadline), self._key)
        request = Verify(credential_id, exchange, region, grant, deadline)
        subject = subjects.verify(exchange)
        reply: VerifyReply = await self._bus.request(
            subject, request, VerifyReply, 15, Code.EXCHANGE_UNREACHABLE
        )
        return reply

    async def dead_letter(self, body: bytes) -> str:
        """Put a body into the work queue and wait until it is a dead letter, and return the reason."""
        await self._bus.publish(subjects.sync_requested("okx"), "SYNC_REQUESTS", body, str(uuid7()), {})
        async with asyncio.timeout(OUTCOME_SECONDS):
            return await self._dead_letters.get()

    async def _on_dead_letter(self, message: Msg) -> None:
        self._dead_letters.put_nowait((message.headers or {})["butler-reason"])

    async def _on_outcome(self, message: Msg) -> None:
        received: SyncOutcome = decode(message.data, SyncOutcome)
        outcome = whole(received)
        if outcome.sync_id in self._outcomes:  # other gateways also send requests where the whole system runs
            self._outcomes[outcome.sync_id].put_nowait(outcome)
