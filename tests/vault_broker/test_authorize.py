"""Signing: signatures match the exchange's, and only granted reads on the list are signed."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from uuid_utils.compat import uuid7

from contracts.credentials import Authorize
from contracts.exchanges.types import Read
from contracts.faults import Code
from contracts.wire.grants import VERIFY
from tests.vault_broker.asking import ALL_READS, code
from tests.vault_broker.conftest import Callers
from tests.vault_broker.vaults import OwnVault
from vault_broker.credentials import Credentials
from vault_broker.schemes.types import HMAC_SHA256
from vault_broker.vault_login import Login

VECTORS = Path(__file__).parents[3] / "shared/exchanges/data/test-vectors.json"
SECRET = "22582BD0CFF14C41EDBF1AB98506286D"


@pytest.fixture(name="okx", scope="module")
def _okx() -> dict[str, Any]:
    if not VECTORS.exists():
        pytest.skip("the exchanges' test vectors are not beside this repository")
    return dict(json.loads(VECTORS.read_text())["okx"])


async def test_vault_signs_every_published_vector(
    okx: dict[str, Any], callers: Callers, login: Login
) -> None:
    """For any bytes, the vault's signature is the one that OKX and its clients publish."""
    own = [*okx["rest"], okx["ws_login"]]
    vectors = [{"secret": okx["secret"], **vector} for vector in own] + okx["third_party"]
    signatures = []
    for vector in vectors:
        credential = await callers.gateway.stored(vector["secret"], "key", "words")
        signatures += await Credentials(login).sign(credential, HMAC_SHA256, [vector["prehash"].encode()])

    assert [vector["sign"] for vector in vectors] == signatures
    assert len(vectors) == 12


async def test_authorize_gives_the_vectors_signatures(okx: dict[str, Any], callers: Callers) -> None:
    """Each vector whose read is on the list is signed in one batch, with the target and headers of OKX."""
    callers.clock.time = datetime.fromisoformat(okx["timestamp"])
    credential = await callers.gateway.stored(okx["secret"], okx["api_key"], okx["passphrase"])
    reads = (*ALL_READS, Read("account_balance", {"ccy": "BTC"}), Read("account_balance", {"ccy": "BTC,ETH"}))
    request = callers.worker.request(credential, callers.gateway.grant(credential), reads)
    signed = await callers.worker.signed(request)

    signatures = {vector["request_target"]: vector["sign"] for vector in okx["rest"]}
    for asked, read in zip(reads, signed.reads, strict=True):
        headers = {name: value.reveal() for name, value in read.headers.items()}
        assert (asked.name, "GET") == (read.name, read.method)
        assert headers == {
            "OK-ACCESS-KEY": okx["api_key"],
            "OK-ACCESS-SIGN": signatures[read.target],
            "OK-ACCESS-TIMESTAMP": okx["timestamp"],
            "OK-ACCESS-PASSPHRASE": okx["passphrase"],
        }


async def test_sixteen_reads_are_signed_and_seventeen_are_not(callers: Callers) -> None:
    """A request holds at most 16 reads."""
    credential = await callers.gateway.stored(SECRET, "key", "words")
    grant = callers.gateway.grant(credential)
    sixteen = callers.worker.request(credential, grant, (Read("account_config"),) * 16)
    seventeen = callers.worker.request(credential, grant, (Read("account_config"),) * 17)

    assert len((await callers.worker.signed(sixteen)).reads) == 16
    assert code(await callers.worker.authorize(seventeen)) == Code.INVALID_REQUEST


@pytest.mark.parametrize("seconds", [-60, 60])
async def test_time_within_a_minute_is_signed(callers: Callers, seconds: int) -> None:
    """The exchange's clock may differ from ours by 60 s."""
    credential = await callers.gateway.stored(SECRET, "key", "words")
    request = callers.worker.request(credential, callers.gateway.grant(credential))
    shifted = msgspec.structs.replace(request, exchange_time_ms=request.exchange_time_ms + seconds * 1000)

    assert len((await callers.worker.signed(shifted)).reads) == len(ALL_READS)


class TestGrant:
    """Without the gateway's grant for this credential and these reads, the broker signs nothing."""

    async def refused(self, callers: Callers, request: Authorize) -> bool:
        """Return whether the broker refuses the grant."""
        return code(await callers.worker.authorize(request)) == Code.GRANT_REFUSED

    async def test_verify_covers_the_configuration_alone(self, callers: Callers) -> None:
        """A grant to verify does not permit reading a balance."""
        credential = await callers.gateway.stored(SECRET, "key", "words")
        grant = callers.gateway.grant(credential, VERIFY)
        configuration = callers.worker.request(credential, grant, (Read("account_config"),))

        assert len((await callers.worker.signed(configuration)).reads) == 1
        assert await self.refused(callers, callers.worker.request(credential, grant))

    @pytest.mark.parametrize("purpose", ["trade", "verifying", "sync-all x"])
    async def test_other_purposes_cover_nothing(self, callers: Callers, purpose: str) -> None:
        """The broker refuses an unknown purpose."""
        credential = uuid7()
        request = callers.worker.request(credential, callers.gateway.grant(credential, purpose))

        assert await self.refused(callers, request)

    async def test_grant_is_over_at_its_deadline(self, callers: Callers) -> None:
        """A grant lasts exactly until its deadline."""
        credential = await callers.gateway.stored(SECRET, "key", "words")
        grant = callers.gateway.grant(credential, seconds=120)
        callers.clock.time += timedelta(seconds=119)
        assert (await callers.worker.signed(callers.worker.request(credential, grant))).reads

        callers.clock.time += timedelta(seconds=1)
        assert await self.refused(callers, callers.worker.request(credential, grant))


async def test_unknown_credential_is_missing(callers: Callers) -> None:
    """For a credential that the vault does not hold, the user must submit the key again."""
    credential = uuid7()
    request = callers.worker.request(credential, callers.gateway.grant(credential))

    assert code(await callers.worker.authorize(request)) == Code.CREDENTIAL_MISSING


async def test_a_credential_that_lacks_a_field_must_be_submitted_again(
    callers: Callers, own_vault: OwnVault
) -> None:
    """The vault holds a key of the time before its exchange's keys got another field."""
    credential = await callers.gateway.stored(SECRET, "key", "words")
    kept = {"exchange": "okx", "api_key": "key"}
    await own_vault.root("POST", f"secret/data/credentials/{credential}", {"data": kept})
    request = callers.worker.request(credential, callers.gateway.grant(credential))

    assert code(await callers.worker.authorize(request)) == Code.CREDENTIAL_MISSING


async def test_credential_of_another_exchange_is_refused(callers: Callers, own_vault: OwnVault) -> None:
    """A credential of one exchange signs nothing for another."""
    credential = await callers.gateway.stored(SECRET, "key", "words")
    kept = {"exchange": "kraken", "api_key": "key", "passphrase": "words"}
    await own_vault.root("POST", f"secret/data/credentials/{credential}", {"data": kept})
    request = callers.worker.request(credential, callers.gateway.grant(credential))

    assert code(await callers.worker.authorize(request)) == Code.GRANT_REFUSED


async def test_unknown_exchange_is_refused(callers: Callers) -> None:
    """An exchange without a list of reads is refused."""
    credential = uuid7()
    request = callers.worker.request(credential, callers.gateway.grant(credential, exchange="nowhere"))
    nowhere = msgspec.structs.replace(request, exchange="nowhere")

    assert code(await callers.worker.authorize(nowhere)) == Code.READ_NOT_ALLOWED
