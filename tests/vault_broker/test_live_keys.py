"""The broker while keys are rotated: it opens with both sealing keys and accepts each live grant key."""

from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from contracts.credentials import Authorized, Destroyed, Keys, Stored
from contracts.faults import Code, Failure
from contracts.wire.envelope import encode
from contracts.wire.key_files import created_line, read_verifying_keys
from contracts.wire.pinning import read_fingerprints, sealing_key_fingerprint
from contracts.wire.sealing import SealingKey
from deploy.local.nats import Nats
from deploy.local.openbao import TERMS
from deploy.vault.provision import Handover, pinned_fingerprints, provision
from tests.vault_broker.asking import Gateway, Worker, code
from tests.vault_broker.conftest import Callers, environment
from tests.vault_broker.test_service import READY_WITHIN, service
from tests.vault_broker.vaults import OwnVault
from tests.waiting import until
from vault_broker.credentials import Credentials
from vault_broker.errors import VaultUnavailable
from vault_broker.handlers import Handlers
from vault_broker.paths import SEALING_KEY
from vault_broker.sealing_keys import SealingKeys, SealingRecord
from vault_broker.vault import read_answer
from vault_broker.vault_login import Login

SECRET = "22582BD0CFF14C41EDBF1AB98506286D"
MADE = datetime(2026, 11, 24, 12, tzinfo=UTC)


def text(key: SealingKey) -> str:
    """Return a key as the record has it."""
    return b64encode(key.private_bytes()).decode()


@pytest_asyncio.fixture(name="rotating")
async def _rotating(own_vault: OwnVault) -> AsyncIterator[tuple[SealingKey, SealingKey]]:
    """Yield the key of the record and its successor, of which the record has both, the successor first."""
    kept = (await own_vault.root("GET", SEALING_KEY))["data"]["data"]
    old, new = SealingKeys.of(read_answer(kept, SealingRecord)).newest, SealingKey.generate()
    record = {"private_key": text(new), "other_private_key": text(old), "created": MADE.isoformat()}
    await own_vault.root("POST", SEALING_KEY, {"data": record})
    yield old, new
    await own_vault.root("POST", SEALING_KEY, {"data": kept})


async def test_both_sealing_keys_open_and_the_first_is_told(
    callers: Callers, rotating: tuple[SealingKey, SealingKey]
) -> None:
    """A gateway that knows only the one before stores, too; parts sealed to a third are refused as such."""
    old, new = rotating
    keys = await callers.gateway.keys()
    assert isinstance(keys, Keys)
    assert (keys.sealing_key, keys.sealing_key_id) == (new.public, new.key_id)

    for key, stored in ((new, True), (old, True), (SealingKey.generate(), False)):
        told = Keys(keys.wrapping_key, key.public, key.key_id)
        reply = await callers.gateway.store(callers.gateway.store_request(told, SECRET.encode()))
        assert isinstance(reply, Stored) if stored else code(reply) == Code.KEYS_CHANGED


async def test_parts_sealed_to_one_key_under_the_id_of_the_other_do_not_open(
    callers: Callers, rotating: tuple[SealingKey, SealingKey]
) -> None:
    """The broker opens with the named key alone."""
    old, new = rotating
    keys = await callers.gateway.keys()
    assert isinstance(keys, Keys)
    mixed = Keys(keys.wrapping_key, new.public, old.key_id)

    request = callers.gateway.store_request(mixed, SECRET.encode())

    assert code(await callers.gateway.store(request)) == Code.INVALID_REQUEST


async def test_provisioning_keeps_and_pins_both(
    own_vault: OwnVault, rotating: tuple[SealingKey, SealingKey], tmp_path: Path
) -> None:
    """It may run at any step of a rotation, and the gateways trust whichever the broker tells."""
    before = (await own_vault.root("GET", SEALING_KEY))["data"]["data"]
    files = Handover(own_vault.role_id_file, own_vault.secret_id_file, tmp_path / "fingerprints.env")

    await provision(own_vault.client, files, TERMS)

    pinned = pinned_fingerprints(files.fingerprints_file)["SEALING_KEY_FINGERPRINT"]
    assert read_fingerprints(pinned) == {sealing_key_fingerprint(key.public) for key in rotating}
    assert (await own_vault.root("GET", SEALING_KEY))["data"]["data"] == before


@pytest.mark.parametrize("damaged", ["", "AAAA", "not base64!"])
def test_a_damaged_record_is_no_key(damaged: str) -> None:
    """The broker says that the vault is not usable, and answers nothing with half of a record."""
    good = text(SealingKey.generate())
    for record in ({"private_key": damaged}, {"private_key": good, "other_private_key": damaged or "-"}):
        with pytest.raises(VaultUnavailable):
            SealingKeys.of(read_answer(record, SealingRecord))


async def test_grants_and_requests_of_each_live_grant_key_count(
    callers: Callers, login: Login, grant_key: Ed25519PrivateKey
) -> None:
    """So gateways may sign with the new key while others sign with the old one; a third is refused."""
    new, third = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    live = read_verifying_keys(b"".join(map(pem, (new, grant_key))))
    handlers = Handlers(Credentials(login), live, callers.clock)
    keys = await handlers.keys(b"")
    for key in (new, grant_key):
        gateway = Gateway(callers.gateway.bus, key, callers.clock)
        request = gateway.store_request(keys, SECRET.encode())
        assert isinstance(await handlers.store(encode(request)), Stored)
        asking = Worker(callers.worker.bus, callers.clock).request(
            request.credential_id, gateway.grant(request.credential_id)
        )
        assert isinstance(await handlers.authorize(encode(asking)), Authorized)
        stranger = Gateway(callers.gateway.bus, third, callers.clock)
        refused = msgspec.structs.replace(asking, grant=stranger.grant(request.credential_id))
        for reply in (
            handlers.authorize(encode(refused)),
            handlers.store(encode(stranger.store_request(keys, SECRET.encode()))),
        ):
            with pytest.raises(Failure) as caught:
                await reply
            assert caught.value.code == Code.GRANT_REFUSED
        assert isinstance(
            await handlers.destroy(encode(gateway.destroying(request.credential_id))), Destroyed
        )


async def test_a_broker_shows_the_ages_and_numbers_of_its_keys(
    nats: Nats,
    own_vault: OwnVault,
    grant_key: Ed25519PrivateKey,
    rotating: tuple[SealingKey, SealingKey],
    tmp_path: Path,
) -> None:
    """Ages come from the file or the record; that of an earlier release's key is absent, not zero."""
    environ = environment(nats, own_vault, grant_key, tmp_path)
    seed = tmp_path / "seed"
    seed.write_bytes(created_line(MADE) + nats.seed_file("vault-broker").read_bytes())
    async with service(tmp_path, environ | {"NATS_NKEY_FILE": str(seed)}) as broker:
        await until(broker.ready, READY_WITHIN)

        async def shown() -> bool:
            return 'butler_keys_live{key="sealing"} 2.0' in (await broker.get("/metrics"))[1]

        await until(shown)
        _, metrics = await broker.get("/metrics")

    for key in ("sealing", "nkey"):
        (line,) = [each for each in metrics.splitlines() if f'created_seconds{{key="{key}"}}' in each]
        assert float(line.split()[1]) == MADE.timestamp()
    assert 'butler_keys_live{key="grant"} 1.0' in metrics
    assert 'butler_key_created_seconds{key="grant"}' not in metrics


def pem(key: Ed25519PrivateKey) -> bytes:
    """Return the public key as PEM."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
