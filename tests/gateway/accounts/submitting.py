"""Submitted keys, with a vault-broker and a worker whose responses the test sets."""

import asyncio
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import msgspec

from chassis.bus.connection import Bus
from chassis.bus.respond import respond
from contracts import subjects
from contracts.credentials import (
    Destroy,
    Destroyed,
    KeyOffered,
    OfferKey,
    Refused,
    Store,
    Stored,
    Verified,
    Verify,
)
from contracts.exchanges.binance import BINANCE
from contracts.exchanges.okx import OKX
from contracts.remedies import Situation
from contracts.values import Secret
from contracts.wire.envelope import decode
from deploy.local.postgres import Postgres
from gateway.accounts.intake import Intake
from gateway.accounts.offers import Offers
from gateway.accounts.pending import Submission
from gateway.advice import Advice
from gateway.rows.offers import Offer
from gateway.store import users
from tests.system.test_sweeper import run
from tests.vault_broker.test_stolen_broker import RIGHT

READ_ONLY = Verified("1", "1", ("read_only",), ())
FIELDS = {
    "api_key": Secret("37c541a1-0000-4000-8000-10fe7a038418"),
    "api_secret": Secret("22582BD0CFF14C41EDBF1AB98506286D"),
    "passphrase": Secret("words"),
}
# RFC 8032, section 7.1, test 1.
PUBLIC_KEY = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
CREDENTIALS = "select state, destroy_at <= now() from credentials order by created_at, id"
REFUSALS = "select detail ->> 'error_code' from audit where action = 'credential_refused' order by id"


class Others:
    """The broker and the worker: they return the set responses, and record the requests.

    `stores` are the broker's next responses; after them it stores. `held` lets a verification hang.
    """

    def __init__(self) -> None:
        self.keys = RIGHT
        self.stores: list[Refused] = []
        self.verified: Verified | Refused = READ_ONLY
        self.stored: list[UUID] = []
        self.asked: list[UUID] = []
        self.free = asyncio.Event()
        self.free.set()
        self.offers: list[Refused] = []
        self.offered: list[OfferKey] = []
        self.tried: list[Store] = []
        self.destroyed: list[UUID] = []

    def declare_broker(self, bus: Bus) -> None:
        """Answer for the vault-broker."""

        async def keys(_: bytes) -> Any:
            return self.keys

        async def store(body: bytes) -> Any:
            request: Store = decode(body, Store)
            self.tried.append(request)
            self.stored.append(request.credential_id)
            return self.stores.pop(0) if self.stores else Stored()

        async def offer(body: bytes) -> Any:
            self.offered.append(decode(body, OfferKey))
            return self.offers.pop(0) if self.offers else KeyOffered(PUBLIC_KEY)

        async def destroy(body: bytes) -> Any:
            request: Destroy = decode(body, Destroy)
            self.destroyed.append(request.credential_id)
            return Destroyed()

        respond(bus, subjects.OFFER, "vault-broker", offer, 1)
        respond(bus, subjects.DESTROY, "vault-broker", destroy, 1)
        respond(bus, subjects.KEYS, "vault-broker", keys, 1)
        respond(bus, subjects.STORE, "vault-broker", store, 1)

    def declare_worker(self, bus: Bus) -> None:
        """Answer for the worker."""

        async def verify(body: bytes) -> Any:
            self.asked.append(decode(body, Verify).credential_id)
            await self.free.wait()
            return self.verified

        for exchange in ("okx", "binance"):
            respond(bus, subjects.verify(exchange), "sync-worker", verify, 4)


@dataclass
class Scene:
    """A gateway that accepts keys, the broker and worker that it asks, and the database."""

    intake: Intake
    others: Others
    database: Postgres
    offers: Offers
    user_id: UUID = field(default_factory=uuid4)

    async def registered(self) -> None:
        """Let the user exist."""
        async with self.intake.pool.transaction() as connection:
            await users.insert_user(connection, self.user_id, f"{self.user_id}@example.com", "hash")

    def submission(self, user_id: UUID | None = None, account_id: UUID | None = None) -> Submission:
        """Submit a key to connect an account, or to replace the key of one."""
        situation = Situation.REPLACE if account_id else Situation.CONNECT
        return Submission(
            user_id=user_id or self.user_id,
            exchange=OKX,
            region="global",
            fields=FIELDS,
            address="203.0.113.7",
            advice=Advice(situation, OKX, "global", ()),
            account_id=account_id,
        )

    def born(self, offer: Offer, account_id: UUID | None = None) -> Submission:
        """Submit an API key for the key of an offer."""
        return msgspec.structs.replace(
            self.submission(account_id=account_id),
            exchange=BINANCE,
            fields={"api_key": FIELDS["api_key"]},
            advice=Advice(
                Situation.REPLACE if account_id else Situation.CONNECT, BINANCE, "global", (), offered=True
            ),
            offer=offer,
            kind_key="born",
        )

    async def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement as the superuser."""
        return await run(self.database, statement, *values)

    async def states(self) -> list[str]:
        """Return the states of the credentials, the oldest first."""
        return [state for state, _ in await self.rows(CREDENTIALS)]

    async def refusals(self) -> list[str | None]:
        """Return the audited codes with which credentials were doomed."""
        return [code for (code,) in await self.rows(REFUSALS)]
