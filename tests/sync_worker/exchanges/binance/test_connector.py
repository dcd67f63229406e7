"""The decisions of Binance's connector between its reads: the due reads, and the reported weights."""

from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
import pytest

from contracts.credentials import MAX_READS
from contracts.exchanges.binance import BINANCE
from contracts.faults import Code, Failure, failure
from contracts.syncs import Verdict
from contracts.values import Secret
from sync_worker.broker import Access
from sync_worker.budgets.refusals import refused_budget
from sync_worker.exchanges.binance import earn
from sync_worker.exchanges.binance.btc_price import AGAIN_SECONDS, KEPT_SECONDS, BtcPrice
from sync_worker.exchanges.binance.connector import BTC_PRICE, FIRST_READS, TIME, Due, _data, _due, _used_of
from sync_worker.exchanges.binance.control import control_of
from sync_worker.exchanges.http import Answer
from sync_worker.verdicts import Fetched
from tests.sync_worker.exchanges.binance.answers import FLAGS, account, assets, fetched

USDT = {"asset": "USDT", "free": "10"}
ACCESS = Access(UUID(int=1), "binance", "global", "grant", 0.0)
ZERO_TOTALS = [
    {"activate": True, "balance": "0", "walletName": name}
    for name in ("Spot", "Earn", "Cross Margin", "Isolated Margin", "Options")
]


def due(empty: tuple[str, ...] = (), refused: tuple[str, ...] = (), **reads: Fetched | Failure) -> Due:
    """Return the reads of the second group after a first group with these results."""
    first: dict[str, Fetched | Failure] = {
        "account_info": fetched(FLAGS),
        "api_restrictions": fetched({}),
        "account": account(USDT),
        "user_assets": assets(USDT),
        "funding_assets": fetched([]),
        "wallet_balance": fetched(ZERO_TOTALS),
        **reads,
    }
    access = msgspec.structs.replace(ACCESS, lately_empty=frozenset(empty), lately_refused=frozenset(refused))
    control = control_of(first["wallet_balance"])
    return _due(access, first, control, partial(control.valued, btc_usd=Decimal(64000)))


def test_a_group_has_no_more_reads_than_the_broker_signs() -> None:
    """The second one has the first pages of earn, all other wallets, and spot once more."""
    whole = due(user_assets=assets())
    reads = [read for place in whole.places for read in place.reads]

    assert len(FIRST_READS) <= MAX_READS
    assert len(earn.LISTS) + len(reads) + len(whole.again) <= MAX_READS
    assert len(whole.again) == 2
    assert due().again == ()


def test_without_the_accounts_information_no_wallet_is_read_that_another_may_contain() -> None:
    """Each has failed with that fault, and the next try may read it."""
    told = due(account_info=failure(Code.EXCHANGE_TIMEOUT))

    assert told.places == ()
    assert {read.error_code for read in told.out.values()} == {Code.EXCHANGE_TIMEOUT}
    assert len(told.out) == 6


@pytest.mark.parametrize("wallet", BINANCE.valued_wallets)
def test_a_wallet_that_held_nothing_lately_is_not_due_while_it_is_worth_nothing(wallet: str) -> None:
    """Its valuation has the present time."""
    valued = [row | {"balance": "1"} for row in ZERO_TOTALS]

    assert due((wallet,)).out[wallet].verdict is Verdict.NOT_DUE
    assert wallet not in due((wallet,), wallet_balance=fetched(valued)).out
    assert wallet not in due((wallet,), wallet_balance=failure(Code.RATE_LIMITED)).out


def test_rows_of_earn_in_spot_make_it_due() -> None:
    """Otherwise they would stay there under their own name."""
    rows = [USDT, {"asset": "LDUSDT", "free": "1"}]

    assert due(("earn",), account=account(*rows)).earns


def test_a_refused_wallet_is_left_out_for_a_day() -> None:
    """The gateway says which."""
    told = due(refused=("options",))

    assert told.out["options"].error_code == Code.REFUSED_RIGHT
    assert "options" not in {place.wallet for place in told.places}


@pytest.mark.parametrize(
    ("read", "header", "budget"),
    [
        ("account", "x-mbx-used-weight-1m", "api"),
        (TIME.name, "x-mbx-used-weight-1m", "api"),
        ("user_assets", "x-sapi-used-ip-weight-1m", "user_assets"),
        ("usdm_account", "x-mbx-used-weight-1m", "fapi"),
        ("coinm_positions", "x-mbx-used-weight-1m", "dapi"),
    ],
)
def test_a_weight_belongs_to_the_budget_of_its_read(read: str, header: str, budget: str) -> None:
    """Each endpoint under /sapi has one, and each host has another."""
    assert _used_of(Answer(200, b"", headers={header: "85"}), read) == {budget: 85}
    assert _used_of(Answer(200, b"", headers={header: "many"}), read) == {}
    assert _used_of(Answer(200, b""), read) == {}


@pytest.mark.parametrize("read", ["account", "user_assets", "usdm_account", BTC_PRICE.name])
def test_a_refused_weight_is_a_limit_of_the_address(read: str) -> None:
    """Of the budget of its read with a code, of all calls for a ban; another code is one of a user."""
    (own,) = BINANCE.costs[read]

    assert refused_budget(BINANCE, read, failure(Code.RATE_LIMITED, exchange_code="-1003")) == own
    assert refused_budget(BINANCE, read, failure(Code.RATE_LIMITED)) == "address"
    other = refused_budget(BINANCE, read, failure(Code.RATE_LIMITED, exchange_code="-9"))
    assert other == (None if read in BINANCE.reads else own)


def test_every_read_has_its_documented_budget() -> None:
    """So that none is sent uncounted."""
    public = {read.name for read in (*BINANCE.price_reads, BTC_PRICE)} | {TIME.name, "system_status"}

    assert BINANCE.costs.keys() == {*BINANCE.reads, *public}


def test_a_code_that_echoes_what_we_sent_is_not_repeated() -> None:
    """It may be part of a secret."""
    body = b'{"code": -12345678, "msg": ""}'
    with pytest.raises(Failure) as echoed:
        _data(Answer(400, body), "account", "", [Secret("x-12345678y")], egress=())

    assert (echoed.value.code, echoed.value.exchange_code) == (Code.EXCHANGE_ERROR, None)


@pytest.mark.parametrize("body", [b"<html>", b"", b"[", b"null"])
def test_a_body_that_is_no_data_is_a_fault(body: bytes) -> None:
    """Whatever its status says."""
    for status in (200, 403, 502):
        with pytest.raises(Failure):
            _data(Answer(status, body), "account", "", (), egress=())


@dataclass
class Clock:
    """A clock that a test sets, and an exchange that counts the questions for its price."""

    now: float = 0.0
    answers: list[Any] = field(default_factory=list)
    asked: int = 0

    def time(self) -> float:
        """Return the time."""
        return self.now

    async def price(self) -> Decimal:
        """Return the next answer."""
        self.asked += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Failure):
            raise answer
        return Decimal(answer)


async def test_the_price_of_btc_is_read_once_a_minute() -> None:
    """By all syncs together; one that could not be read is unknown, and asked for again soon."""
    clock = Clock(answers=[1, failure(Code.RATE_LIMITED), 3])
    price = BtcPrice(clock.price, clock.time)

    assert [await price.usd(), await price.usd(), clock.asked] == [1, 1, 1]
    clock.now += KEPT_SECONDS
    assert [await price.usd(), await price.usd(), clock.asked] == [None, None, 2]
    clock.now += AGAIN_SECONDS
    assert [await price.usd(), clock.asked] == [3, 3]
