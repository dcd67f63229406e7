"""The connector of Binance against the simulated exchange: groups, pages, refusals and late turns."""

import hmac
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
import pytest_asyncio

from chassis.clocks import Clocks
from contracts.credentials import SignedRead, VerifiedRights, Verify
from contracts.exchanges.binance import BINANCE
from contracts.exchanges.types import OWN, Read
from contracts.faults import Code, Failure
from contracts.syncs import READ, TotalCheck, Verdict
from contracts.values import Secret
from deploy.local.demo import ACCOUNTS
from deploy.local.simulator import Simulator
from deploy.simulator.binance.accounts import Account, load_accounts
from sync_worker.broker import Access
from sync_worker.exchanges.binance.connector import Binance
from sync_worker.exchanges.http import Https
from sync_worker.exchanges.signed import Parts
from sync_worker.handlers import _verified as read_verified
from vault_broker.schemes import scheme_of
from vault_broker.schemes.types import Draft

KEYS = load_accounts(ACCOUNTS.parents[1] / "binance" / "accounts.toml")


class Signer:
    """Signs with the broker's scheme and an account's own secret.

    The bus and the vault are left out: other tests cover them.
    """

    def __init__(self, account: Account) -> None:
        self.account = account
        self.batches: list[int] = []

    async def authorize(
        self, access: Access, reads: Sequence[Read], exchange_time_ms: int
    ) -> tuple[SignedRead, ...]:
        """Sign a batch."""
        del access
        self.batches.append(len(reads))
        scheme, fields = scheme_of("binance", "hmac"), {"api_key": Secret(self.account.api_key)}
        signed = []
        for read in reads:
            request = BINANCE.request(read)
            draft = Draft(read.name, request, exchange_time_ms, scheme.stamp(exchange_time_ms))
            payload = scheme.message(draft, fields)
            signature = hmac.digest(self.account.api_secret.encode(), payload, "sha256")
            signed.append(scheme.write(draft, fields, b64encode(signature).decode()))
        return tuple(signed)


class Reading:
    """A connector for each account of the simulated exchange."""

    def __init__(self, exchange: Simulator, https: Https) -> None:
        self._https = https
        hosts = exchange.exchanges["binance"]
        self._hosts = {name: hosts["global" if name == OWN else f"global_{name}"] for name in HOSTS}

    def of(self, name: str) -> tuple[Binance, Signer]:
        """Return the connector for an account, and its signer."""
        signer = Signer(KEYS[name])
        settings: Any = _Settings({"binance": {"global": self._hosts}})
        broker: Any = signer
        return Binance(Parts(self._https, broker, Clocks(), settings)), signer


class _Settings:
    egress_addresses = ("192.0.2.1",)

    def __init__(self, origins: dict[str, dict[str, dict[str, str]]]) -> None:
        self.origins = origins


HOSTS = tuple(BINANCE.regions[0].hosts)


def access(lately_refused: frozenset[str] = frozenset()) -> Access:
    """Return the access of a try."""
    ends = time.monotonic() + 20
    return Access(UUID(int=1), "binance", "global", "grant", ends, lately_refused=lately_refused)


@pytest_asyncio.fixture(name="reading")
async def _reading(exchange: Simulator) -> AsyncIterator[Reading]:
    https = Https(exchange.ca)
    yield Reading(exchange, https)
    await https.close()


async def test_an_ordinary_account_is_read_whole(reading: Reading) -> None:
    """In two groups; its flexible position counts in earn and not in spot, where LDO is a coin."""
    connector, signer = reading.of("plain")
    told = await connector.read_wallets(access())
    wallets = {read.wallet: read for read in told.wallets}
    read = {key: each for key, each in wallets.items() if each.verdict in READ}

    assert read.keys() == {"spot", "funding", "earn", "margin", "isolated_margin"}
    assert {each.verdict for each in read.values()} == {Verdict.COMPLETE}
    assert {each.total_check for each in read.values()} == {TotalCheck.AGREES}
    assert {each.error_code for key, each in wallets.items() if key not in read} == {Code.NOT_ENABLED}
    assert {each.asset for each in wallets["spot"].balances or ()} == {"BTC", "ETH", "LDO", "USDT"}
    assert len(signer.batches) == 2
    assert told.rights is not None
    assert told.rights.permissions == ("enableReading",)


async def test_wallets_that_only_a_refused_right_opens_are_named_beside(reading: Reading) -> None:
    """With the worth that Binance tells; a sync of the next hours does not ask for them again."""
    connector, signer = reading.of("derivatives")
    refused = {"usdm_futures", "coinm_futures", "options"}
    told = await connector.read_wallets(access())
    again = await connector.read_wallets(access(lately_refused=frozenset(refused)))

    for each in (told, again):
        codes = {read.wallet: read.error_code for read in each.wallets if read.verdict is Verdict.NOT_COVERED}
        assert {wallet for wallet, code in codes.items() if code == Code.REFUSED_RIGHT} == refused
        (beside,) = each.uncovered
        assert len(beside.listed or ()) == len(refused)
    assert signer.batches[1] - signer.batches[3] == 5


async def test_a_speck_of_an_asset_prices_no_large_amount_of_it(reading: Reading) -> None:
    """The account has BNB worth less than a satoshi in spot, and the others in cross margin."""
    connector, _ = reading.of("derivatives")
    wallets = {read.wallet: read for read in (await connector.read_wallets(access())).wallets}

    assert wallets["spot"].total_check == TotalCheck.AGREES
    assert wallets["margin"].total_check == TotalCheck.UNCHECKED
    assert wallets["margin"].totals is not None
    assert wallets["margin"].totals.listed is None


async def test_a_list_of_two_pages_is_read_whole(reading: Reading) -> None:
    """The second page is a batch of its own."""
    connector, signer = reading.of("rich")
    told = await connector.read_wallets(access())
    (earn,) = [read for read in told.wallets if read.wallet == "earn"]

    assert (earn.verdict, earn.total_check) == (Verdict.COMPLETE, TotalCheck.AGREES)
    assert len(earn.balances or ()) > 100
    assert len(signer.batches) == 3


async def test_portfolio_margin_is_read_in_place_of_the_wallets_it_contains(reading: Reading) -> None:
    """Nothing counts twice."""
    connector, _ = reading.of("portfolio-margin")
    wallets = {read.wallet: read for read in (await connector.read_wallets(access())).wallets}

    assert {key for key, read in wallets.items() if read.error_code == Code.HELD_ELSEWHERE} == {
        "margin",
        "usdm_futures",
        "coinm_futures",
    }
    assert {each.asset: each.total for each in wallets["portfolio_margin"].balances or ()} == {
        "USDT": Decimal("505.00000000"),
        "BNB": Decimal("-0.10000000"),
    }


async def test_a_key_is_verified(reading: Reading) -> None:
    """Its owner, its rights, and whether it is bound."""
    key = await reading.of("ip-here")[0].verify(access())

    assert (key.exchange_uid, key.permissions, key.key.ip_bound) == ("354937879", ("enableReading",), True)


async def test_a_verification_of_the_rights_alone_tells_the_facts_of_the_key(reading: Reading) -> None:
    """An account that is paused or not synced shows when its key expires, too."""
    deadline = datetime.now(UTC) + timedelta(seconds=20)
    request = Verify(UUID(int=1), "binance", "global", "grant", deadline, rights_only=True)

    told = await read_verified(reading.of("ip-here")[0], request)

    assert isinstance(told, VerifiedRights)
    assert (told.exchange_uid, told.key.ip_bound) == ("354937879", True)
    assert told.key.expires_at == datetime.fromtimestamp(1924905600, UTC)


async def test_reads_whose_turn_comes_late_are_signed_anew(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No read is sent with an old timestamp: with no time at all for a signature, each is signed thrice."""
    connector, signer = reading.of("plain-again")
    monkeypatch.setattr(connector._reader, "_exchange", msgspec.structs.replace(BINANCE, signed_seconds=0.0))

    with pytest.raises(Failure) as late:
        await connector.verify(access())

    assert late.value.code == Code.RATE_LIMITED
    assert signer.batches == [2, 2, 2]
