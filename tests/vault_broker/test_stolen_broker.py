"""An attacker who impersonates the broker gets no credential, because the gateway uses pinned keys only."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import msgspec
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from structlog.testing import capture_logs
from uuid_utils.compat import uuid7

from chassis.bus.connection import Bus
from chassis.bus.respond import respond
from chassis.metrics import REGISTRY
from contracts import subjects
from contracts.credentials import STORE_SECONDS, Keys, Refused, Store, Stored
from contracts.exchanges.okx import OKX
from contracts.faults import Code, Failure
from contracts.values import Secret
from contracts.wire.envelope import decode
from contracts.wire.grants import check_request
from contracts.wire.pinning import sealing_key_fingerprint, wrapping_key_fingerprint
from contracts.wire.sealing import SealingKey
from deploy.local.nats import Nats
from gateway.accounts.broker import Broker
from gateway.accounts.credentials import Pinned
from gateway.errors import VaultNotTrusted
from gateway.http.problems import problem_of
from tests.vault_broker.conftest import connected
from tests.waiting import passed, until
from vault_broker.handlers import QUEUE

FIELDS = {
    "api_key": Secret("key"),
    "api_secret": Secret("22582BD0CFF14C41EDBF1AB98506286D"),
    "passphrase": Secret("words"),
}


def pem(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> str:
    """Return a public key as PEM."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def keys() -> Keys:
    """Return the keys of a vault."""
    sealing = SealingKey.generate()
    return Keys(pem(rsa.generate_private_key(65537, 2048).public_key()), sealing.public, sealing.key_id)


def pinned(*trusted: Keys) -> Pinned:
    """Pin the keys of vaults."""
    return Pinned(
        frozenset(wrapping_key_fingerprint(each.wrapping_key) for each in trusted),
        frozenset(sealing_key_fingerprint(each.sealing_key) for each in trusted),
    )


RIGHT, OTHER, OWN = keys(), keys(), keys()


class Thief:
    """Answers on the bus with the broker's nkey, and keeps the received requests."""

    def __init__(self) -> None:
        self.keys = OWN
        self.refuses = False
        self.keys_take = 0.0
        self.stored_at = datetime.min.replace(tzinfo=UTC)
        self.stored: list[Store] = []

    async def answer_keys(self, _: bytes) -> Keys:
        """Return the chosen keys, after the chosen time."""
        await until(passed(self.keys_take))
        return self.keys

    async def answer_store(self, body: bytes) -> Stored | Refused:
        """Accept a credential."""
        self.stored_at = datetime.now(UTC)
        self.stored.append(decode(body, Store))
        return Refused(Code.KEYS_CHANGED) if self.refuses else Stored()


@pytest.fixture(name="thief")
def _thief() -> Thief:
    return Thief()


@pytest_asyncio.fixture(name="gateway")
async def _gateway(nats: Nats, thief: Thief, grant_key: Ed25519PrivateKey) -> AsyncIterator[Broker]:
    """Yield the vault of a gateway that pins the right keys and those of a rotation."""

    def declare(bus: Bus) -> None:
        respond(bus, subjects.KEYS, QUEUE, thief.answer_keys, 1)
        respond(bus, subjects.STORE, QUEUE, thief.answer_store, 1)

    broker = connected(nats, "vault-broker", "broker", declare)
    async with broker, connected(nats, "gateway", "gateway") as bus:
        yield Broker(bus, pinned(RIGHT, OTHER), grant_key)


def refusals(key: str) -> float:
    """Return how many keys of a kind were refused in this process."""
    return REGISTRY.get_sample_value("butler_keys_refused_total", {"key": key}) or 0.0


@pytest.mark.parametrize(
    ("answer", "key"),
    [
        (OWN, "wrapping"),
        (msgspec.structs.replace(RIGHT, wrapping_key=OWN.wrapping_key), "wrapping"),
        (msgspec.structs.replace(RIGHT, sealing_key=OWN.sealing_key), "sealing"),
        (msgspec.structs.replace(OWN, wrapping_key=RIGHT.wrapping_key), "sealing"),
        (msgspec.structs.replace(RIGHT, sealing_key=b""), "sealing"),
        (msgspec.structs.replace(RIGHT, wrapping_key=""), "wrapping"),
        (
            msgspec.structs.replace(
                RIGHT, wrapping_key=pem(ec.generate_private_key(ec.SECP256R1()).public_key())
            ),
            "wrapping",
        ),
    ],
    ids=[
        "both of its own",
        "a wrapping key of its own",
        "a sealing key of its own",
        "a sealing key of its own with its id",
        "no sealing key",
        "no wrapping key",
        "another kind of key",
    ],
)
async def test_no_credential_is_wrapped_for_a_key_that_is_not_pinned(
    thief: Thief, gateway: Broker, answer: Keys, key: str
) -> None:
    """The caller reads that the operator must act; there is one log line, and the metric counts."""
    thief.keys, counted = answer, refusals(key)

    with capture_logs() as logs, pytest.raises(VaultNotTrusted) as caught:
        await gateway.store(uuid7(), OKX, FIELDS)

    problem = problem_of(caught.value)
    assert (problem.status, problem.code) == (HTTPStatus.SERVICE_UNAVAILABLE, "vault_unavailable")
    assert "not handed over" in problem.detail
    assert problem.headers["Retry-After"]
    assert [line for line in logs if line["event"] == "keys_not_pinned"] == [
        {"event": "keys_not_pinned", "log_level": "error", "key": key}
    ]
    assert refusals(key) == counted + 1
    assert thief.stored == []


@pytest.mark.parametrize("answer", [RIGHT, OTHER])
async def test_either_of_two_pinned_keys_is_used_and_what_is_handed_over_is_signed(
    thief: Thief, gateway: Broker, grant_key: Ed25519PrivateKey, answer: Keys
) -> None:
    """During a rotation the gateway accepts the old and the new keys; each Store has its signature."""
    thief.keys = answer

    await gateway.store(uuid7(), OKX, FIELDS)

    (stored,) = thief.stored
    assert stored.sealing_key_id == answer.sealing_key_id
    check_request(stored, grant_key.public_key())


async def test_keys_that_change_later_are_checked_again(thief: Thief, gateway: Broker) -> None:
    """An attacker who comes when keys are known already can make the gateway ask again, and gains nothing."""
    thief.keys, thief.refuses = RIGHT, True
    with pytest.raises(Failure):
        await gateway.store(uuid7(), OKX, FIELDS)
    thief.keys = OWN

    with pytest.raises(VaultNotTrusted):
        await gateway.store(uuid7(), OKX, FIELDS)

    assert len(thief.stored) == 1


async def test_a_store_has_its_whole_time_however_long_the_keys_took(thief: Thief, gateway: Broker) -> None:
    """The broker's tolerance for another clock does not shrink while the gateway waits for the keys."""
    thief.keys, thief.keys_take = RIGHT, 2.0

    await gateway.store(uuid7(), OKX, FIELDS)

    (stored,) = thief.stored
    assert stored.deadline - thief.stored_at > timedelta(seconds=STORE_SECONDS - 1)
