"""Verification: a worker reads the owner and the rights of a credential."""

from typing import Any
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chassis.bus.connection import Bus
from contracts import subjects
from contracts.credentials import Refused, RightsReply, Verified, VerifiedRights, Verify, VerifyReply
from contracts.faults import Code
from contracts.wire.grants import VERIFY, Grant, sign_grant
from gateway.accounts.broker import in_time
from gateway.store.clock import DatabaseTime

VERIFY_SECONDS = 20.0


class Asked(msgspec.Struct, frozen=True):
    """A credential to verify, with its exchange and region."""

    credential_id: UUID
    exchange: str
    region: str


async def verify(bus: Bus, key: Ed25519PrivateKey, asked: Asked, begun: DatabaseTime) -> Verified:
    """Have a worker verify a credential, with a grant signed by `key`; raises Failure."""
    verified: Verified = await _answered(bus, _question(key, asked, begun), VerifyReply)
    return verified


async def verify_rights(
    bus: Bus, key: Ed25519PrivateKey, asked: Asked, begun: DatabaseTime
) -> VerifiedRights | Verified:
    """Have a worker read the rights of a credential whose account is known; raises Failure."""
    question = msgspec.structs.replace(_question(key, asked, begun), rights_only=True)
    verified: VerifiedRights | Verified = await _answered(bus, question, RightsReply)
    return verified


async def _answered(bus: Bus, question: Verify, kinds: Any) -> Any:
    subject = subjects.verify(question.exchange)
    reply = await bus.request(subject, question, kinds, VERIFY_SECONDS, Code.EXCHANGE_UNREACHABLE)
    if isinstance(reply, Refused):
        raise in_time(reply, question.exchange).failure()
    return reply


def _question(key: Ed25519PrivateKey, asked: Asked, begun: DatabaseTime) -> Verify:
    deadline = begun.after(VERIFY_SECONDS)
    grant = Grant(asked.credential_id, asked.exchange, VERIFY, deadline)
    return Verify(asked.credential_id, asked.exchange, asked.region, sign_grant(grant, key), deadline)
