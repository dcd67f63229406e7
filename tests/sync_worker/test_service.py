"""The worker as a process between real neighbours: its reads, and its report about a key."""

from typing import Any

import msgspec
import pytest
from uuid_utils.compat import uuid7

from contracts.credentials import Refused, Verified
from contracts.faults import Code
from contracts.syncs import Status, SyncCompleted, SyncFailed, TotalCheck, Verdict
from contracts.wire.envelope import encode
from deploy.simulator.okx.accounts import Accounts
from tests.sync_worker.system import Gateway, Worker
from tests.waiting import until


@pytest.mark.parametrize(("name", "region"), [("plain", "global"), ("rich", "global"), ("eea", "eea")])
async def test_every_covered_wallet_is_read(
    worker: Worker, gateway: Gateway, accounts: Accounts, name: str, region: str
) -> None:
    """All wallets are complete, with every digit, and compared with the exchange's total where possible."""
    account = accounts[name]

    outcome = await gateway.sync(gateway.request(await gateway.store(account), region))

    assert isinstance(outcome, SyncCompleted)
    assert outcome.status == Status.COMPLETED
    trading, funding, earn = outcome.wallets
    assert trading.total_check is TotalCheck.AGREES
    # Only the trading list has prices, which also apply to the funding list.
    priced = {row["ccy"] for row in account.funding} <= {row["ccy"] for row in account.trading}
    assert funding.total_check is (TotalCheck.AGREES if priced else TotalCheck.UNCHECKED)
    assert (earn.verdict, earn.balances, earn.total_check) == (Verdict.COMPLETE, (), TotalCheck.AGREES)
    told = {row["ccy"]: row["eq"] for row in account.trading}
    assert {each.asset: str(each.total) for each in trading.balances or ()} == told
    told = {row["ccy"]: row["bal"] for row in account.funding}
    assert {each.asset: str(each.total) for each in funding.balances or ()} == told


async def test_a_debt_is_kept(worker: Worker, gateway: Gateway, accounts: Accounts) -> None:
    """Negative equity and borrowed amounts arrive unchanged."""
    outcome = await gateway.sync(gateway.request(await gateway.store(accounts["margin"])))

    debts = [each for each in outcome.wallets[0].balances or () if each.total < 0]

    assert debts
    assert all(each.borrowed and each.borrowed > 0 for each in debts)


async def test_an_empty_account_is_completely_read(
    worker: Worker, gateway: Gateway, accounts: Accounts
) -> None:
    """The wallets are complete and have no assets."""
    outcome = await gateway.sync(gateway.request(await gateway.store(accounts["empty"])))

    assert outcome.status == Status.COMPLETED
    assert [read.balances for read in outcome.wallets] == [(), (), ()]


@pytest.mark.parametrize(
    ("name", "parts", "region", "code", "words"),
    [
        ("plain", {}, "eea", Code.KEY_UNKNOWN, "global: Global (www.okx.com)"),
        ("plain", {"passphrase": "wrong"}, "global", Code.PASSPHRASE_WRONG, "OKX 50105"),
        ("plain", {"secret": "0" * 32}, "global", Code.SIGNATURE_REJECTED, "OKX 50113"),
        ("ip-bound", {}, "global", Code.IP_NOT_ALLOWED, "192.0.2.77"),
        ("plain", {}, "mars", Code.INVALID_REQUEST, "region"),
    ],
)
async def test_what_is_wrong_with_a_key_is_told_at_once(
    worker: Worker,
    gateway: Gateway,
    accounts: Accounts,
    name: str,
    parts: dict[str, str],
    region: str,
    code: Code,
    words: str,
) -> None:
    """A sync and a verification end with the same fault, at the first try, with a remedy."""
    credential_id = await gateway.store(accounts[name], **parts)

    outcome = await gateway.sync(gateway.request(credential_id, region))
    reply = await gateway.verify(credential_id, region)

    assert isinstance(outcome, SyncFailed)
    assert (outcome.error_code, outcome.attempt) == (code, 1)
    assert words in outcome.error
    assert isinstance(reply, Refused)
    assert reply.code == code
    assert words in reply.detail


async def test_a_credential_that_is_not_there_is_said(worker: Worker, gateway: Gateway) -> None:
    """The vault's response becomes the outcome."""
    outcome = await gateway.sync(gateway.request(uuid7()))

    assert isinstance(outcome, SyncFailed)
    assert outcome.error_code == Code.CREDENTIAL_MISSING


async def test_a_grant_for_another_credential_opens_nothing(
    worker: Worker, gateway: Gateway, accounts: Accounts
) -> None:
    """The worker can use only the gateway's grant for this sync."""
    request = gateway.request(await gateway.store(accounts["plain"]))
    other = gateway.request(await gateway.store(accounts["margin"]))

    outcome = await gateway.sync(msgspec.structs.replace(request, grant=other.grant))

    assert isinstance(outcome, SyncFailed)
    assert outcome.error_code == Code.GRANT_REFUSED


async def test_a_deadline_that_is_over_is_said(worker: Worker, gateway: Gateway, accounts: Accounts) -> None:
    """The worker reads nothing after the deadline."""
    request = gateway.request(await gateway.store(accounts["plain"]), seconds=-1)

    outcome = await gateway.sync(request)

    assert isinstance(outcome, SyncFailed)
    assert outcome.error_code == Code.DEADLINE_EXCEEDED


@pytest.mark.parametrize(
    ("name", "permissions", "master"),
    [
        ("plain", ("read_only",), "plain"),
        ("sub-account", ("read_only",), "plain"),
        ("trade-enabled", ("read_only", "trade"), "trade-enabled"),
        ("withdraw-enabled", ("read_only", "withdraw"), "withdraw-enabled"),
    ],
)
async def test_a_credential_is_verified(
    worker: Worker,
    gateway: Gateway,
    accounts: Accounts,
    name: str,
    permissions: tuple[str, ...],
    master: str,
) -> None:
    """Verified has the owner, the master account and the rights of the key; the gateway decides on it."""
    reply = await gateway.verify(await gateway.store(accounts[name]))

    assert isinstance(reply, Verified)
    assert (reply.exchange_uid, reply.master_uid) == (accounts[name].uid, accounts[master].uid)
    assert set(reply.permissions) == set(permissions)


async def test_one_line_says_how_a_sync_ended(worker: Worker, gateway: Gateway, accounts: Accounts) -> None:
    """Sync, account, attempt, status and verdicts; no amount and no part of the credential, even at debug."""
    plain = accounts["plain"]
    request = gateway.request(await gateway.store(plain))

    await gateway.sync(request)

    def lines() -> list[dict[str, Any]]:
        return [each for each in worker.lines("sync_ended") if each["sync_id"] == str(request.sync_id)]

    async def written_down() -> bool:
        return bool(lines())

    await until(written_down)  # it comes after the outcome
    (line,) = lines()
    assert line["account_id"] == str(request.account_id)
    assert line["status"] == "completed"
    assert line["attempt"] == 1
    written = worker.log.read_text()
    for secret in (plain.api_key, plain.api_secret, plain.passphrase, request.grant, plain.trading[-1]["eq"]):
        assert secret not in written


async def test_calls_are_counted(worker: Worker, gateway: Gateway, accounts: Accounts) -> None:
    """Every read is in the metrics with its result."""
    await gateway.sync(gateway.request(await gateway.store(accounts["plain"])))

    async def counted() -> bool:
        return 'consumer="sync-worker-okx",outcome="done"' in (await worker.get("/metrics")).text

    await until(counted)  # after the outcome
    text = (await worker.get("/metrics")).text
    for read in ("public_time", "account_balance", "asset_balances", "asset_valuation"):
        assert f'outcome="answered",read="{read}"' in text


async def test_a_request_that_can_not_be_read_is_a_dead_letter(worker: Worker, gateway: Gateway) -> None:
    """It is kept for the operator and not redelivered."""
    request = gateway.request(uuid7())
    naive = encode(request).replace(b'Z","grant"', b'","grant"')
    assert naive != encode(request)

    reasons = [await gateway.dead_letter(body) for body in (b"garbage", naive)]

    assert reasons == ["malformed message", "malformed at $.deadline"]
