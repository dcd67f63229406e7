"""The other wallets of Binance: the assets in each, and why a sync leaves some of them out."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import reasons
from contracts.exchanges.binance import BINANCE
from contracts.faults import Code, Failure, failure
from contracts.syncs import Verdict, WalletRead
from contracts.values import Balance
from sync_worker.errors import UnexpectedResponse
from sync_worker.exchanges.binance.control import NOTHING, Control
from sync_worker.exchanges.binance.payloads import Flags, parse_flags
from sync_worker.exchanges.binance.wallets import FUNDING, PLACES, REPLACED, judge_place, left_out
from sync_worker.verdicts import Fetched
from tests.sync_worker.exchanges.binance.answers import FLAGS, data_of, documented, fetched
from tests.sync_worker.wording import NOW

ALL = {place.wallet: place for place in (FUNDING, *PLACES)}
ENABLED = Flags(margin=True, futures=True, options=True, portfolio_margin=False)
REFUSED = failure(Code.PERMISSION_MISSING, exchange_code="-2015", endpoint="usdm_account")
MARGIN = dict.fromkeys(("free", "locked", "borrowed", "interest", "netAsset"), "0")
PORTFOLIO = dict.fromkeys(
    (
        *("totalWalletBalance", "crossMarginAsset", "crossMarginBorrowed", "crossMarginFree"),
        *("crossMarginInterest", "crossMarginLocked", "umWalletBalance", "umUnrealizedPNL"),
        *("cmWalletBalance", "negativeBalance"),
    ),
    "0",
) | {"cmUnrealizedPNL": ""}
AMOUNTS = st.decimals(0, 10**9, places=8)


def judged(wallet: str, data: Any, positions: Any = (), valued: Decimal | None = None) -> WalletRead:
    """Return the verdict on a wallet whose list and positions were read."""
    place = ALL[wallet]
    reads: dict[str, Fetched | Failure] = {read.name: fetched(list(positions)) for read in place.reads}
    reads[place.read.name] = data if isinstance(data, Failure) else Fetched(NOW, data)
    return judge_place(place, reads, {}, valued)


def held(read: WalletRead) -> dict[str, Balance]:
    """Return the balances of a wallet by asset."""
    return {balance.asset: balance for balance in read.balances or ()}


def margin_row(asset: str, free: str, borrowed: str = "0", interest: str = "0") -> dict[str, str]:
    """Return a row of a margin account whose net asset follows from its other amounts."""
    net = Decimal(free) - Decimal(borrowed) - Decimal(interest)
    return MARGIN | {
        "asset": asset,
        "free": free,
        "borrowed": borrowed,
        "interest": interest,
        "netAsset": str(net),
    }


def test_documented_funding_is_added_up(facts: Path) -> None:
    """Its only row has nothing but a free amount."""
    read = judged("funding", documented(facts, "sapi_asset_get-funding-asset.0"))

    assert held(read) == {"USDT": Balance("USDT", Decimal(1), Decimal(1), Decimal(0))}


def test_documented_margin_is_the_amount_after_debts(facts: Path) -> None:
    """Assets of which nothing is there or owed are left out."""
    read = judged("margin", documented(facts, "sapi_margin_account.0"))

    assert read.verdict is Verdict.COMPLETE
    assert held(read).keys() == {"BTC", "BNB"}
    bnb = held(read)["BNB"]
    assert (bnb.total, bnb.available) == (Decimal("2144.83333328"), Decimal("2346.50000000"))
    assert bnb.borrowed == Decimal("201.66666672")


def test_a_debt_contains_its_interest() -> None:
    """Both are owed."""
    rows = [margin_row("USDT", "10", "4", "0.5")]
    (balance,) = judged("margin", data_of({"userAssets": rows})).balances or ()

    assert (balance.total, balance.borrowed) == (Decimal("5.5"), Decimal("4.5"))


@pytest.mark.parametrize("number", [0, 1])
def test_documented_isolated_margin_is_empty(facts: Path, number: int) -> None:
    """With and without the totals."""
    read = judged("isolated_margin", documented(facts, f"sapi_margin_isolated_account.{number}"))

    assert (read.verdict, read.balances) == (Verdict.COMPLETE, ())


@given(st.lists(AMOUNTS, min_size=1, max_size=5))
def test_all_pairs_of_isolated_margin_are_added_up(amounts: list[Decimal]) -> None:
    """An asset that several pairs hold counts with the exact sum."""
    pairs = [
        {"baseAsset": margin_row(f"C{number}", "1"), "quoteAsset": margin_row("USDT", str(amount), "1")}
        for number, amount in enumerate(amounts)
    ]
    balances = held(judged("isolated_margin", data_of({"assets": pairs})))

    assert balances["USDT"].total == sum(amounts) - len(amounts)
    assert balances["USDT"].borrowed == len(amounts)
    assert len(balances) == len(amounts) + 1


def test_a_pair_that_stands_twice_counts_not_at_all() -> None:
    """Either of its rows may be right; other pairs are shown."""
    pair = {"baseAsset": margin_row("BTC", "1"), "quoteAsset": margin_row("USDT", "0"), "symbol": "BTCUSDT"}
    other = {"baseAsset": margin_row("ETH", "1"), "quoteAsset": margin_row("BNB", "0"), "symbol": "ETHBNB"}
    read = judged("isolated_margin", data_of({"assets": [pair, pair, other]}))

    assert read.verdict is Verdict.INCOMPLETE
    assert held(read).keys() == {"ETH"}
    assert {(row.asset, row.reason) for row in read.unreadable} == {("BTC", reasons.STANDS_TWICE)}


def test_an_asset_with_an_unreadable_pair_is_not_shown() -> None:
    """The sum of the others is not the total of the account."""
    pairs = [
        {"baseAsset": margin_row("BTC", "1"), "quoteAsset": margin_row("USDT", "5")},
        {"baseAsset": margin_row("ETH", "1"), "quoteAsset": margin_row("USDT", "5") | {"free": "x"}},
    ]
    read = judged("isolated_margin", data_of({"assets": pairs}))

    assert read.verdict is Verdict.INCOMPLETE
    assert held(read).keys() == {"BTC", "ETH"}
    assert [row.asset for row in read.unreadable] == ["USDT"]


@pytest.mark.parametrize("number", [0, 1])
def test_documented_futures_show_margin_balances(facts: Path, number: int) -> None:
    """The available amount may belong to another asset, as in both examples: the worker then reports none."""
    read = judged("usdm_futures", documented(facts, f"fapi_v3_account.{number}"))
    own = {balance.asset: balance.total for balance in read.balances or ()}

    assert read.verdict is Verdict.COMPLETE
    assert own["USDT"] == Decimal("23.72469206")
    assert sum(own.values()) == Decimal("126.84814884")
    assert all(each.available is None or each.available <= each.total for each in read.balances or ())


def test_positions_of_futures_are_information_beside_balances() -> None:
    """Positions of both futures have the documented fields; a closed one is left out, 0 is not a price."""
    row = {
        "symbol": "BTCUSDT",
        "positionSide": "BOTH",
        "positionAmt": "-0.5",
        "entryPrice": "60000",
        "markPrice": "64000",
        "liquidationPrice": "0",
        "unRealizedProfit": "-2000",
        "marginAsset": "USDT",
    }
    closed = row | {"positionAmt": "0.000"}
    of_coin = {**row, "symbol": "BTCUSD_PERP", "leverage": "10", "marginType": "isolated", "marginAsset": ""}
    (usdm,) = judged("usdm_futures", data_of({"assets": []}), [row, closed]).positions or ()
    (coinm,) = judged("coinm_futures", data_of({"assets": []}), [of_coin]).positions or ()

    assert (usdm.side, usdm.size, usdm.currency, usdm.liquidation) == ("short", Decimal("0.5"), "USDT", None)
    assert (usdm.entry, usdm.mark, usdm.unrealised) == (Decimal(60000), Decimal(64000), Decimal(-2000))
    assert (usdm.leverage, usdm.margin_mode) == (None, None)
    assert (coinm.leverage, coinm.margin_mode, coinm.currency) == (Decimal(10), "isolated", None)


def test_positions_that_could_not_be_read_hide_no_balance() -> None:
    """They are unknown, with the reason."""
    place = ALL["usdm_futures"]
    row = {"asset": "USDT", "marginBalance": "5", "walletBalance": "5", "unrealizedProfit": "0"}
    reads: dict[str, Fetched | Failure] = {
        place.read.name: fetched({"assets": [row]}),
        "usdm_positions": REFUSED,
    }
    read = judge_place(place, reads, {}, None)

    assert (read.verdict, read.positions, read.positions_code) == (
        Verdict.COMPLETE,
        None,
        Code.PERMISSION_MISSING,
    )


@pytest.mark.parametrize("cross", ["100", "89"])
def test_portfolio_margin_is_wallets_and_profits_less_debts(cross: str) -> None:
    """Binance does not document whether the cross margin asset is less debts; an empty profit is zero."""
    row = PORTFOLIO | {
        "asset": "USDT",
        "crossMarginAsset": cross,
        "crossMarginFree": "97",
        "crossMarginLocked": "3",
        "crossMarginBorrowed": "10",
        "crossMarginInterest": "1",
        "umWalletBalance": "50",
        "umUnrealizedPNL": "-5",
        "cmWalletBalance": "7",
    }
    (balance,) = judged("portfolio_margin", data_of([row, PORTFOLIO | {"asset": "BTC"}])).balances or ()

    assert (balance.total, balance.borrowed) == (Decimal(141), Decimal(11))


def test_a_cross_margin_asset_of_other_parts_is_unreadable() -> None:
    """It is neither what is free and locked, nor that less debts."""
    parts = {"crossMarginFree": "97", "crossMarginLocked": "3", "crossMarginBorrowed": "10"}
    rows = [PORTFOLIO | {"asset": "USDT", "crossMarginAsset": "95"} | parts, PORTFOLIO | {"asset": "BTC"}]

    assert judged("portfolio_margin", data_of(rows)).verdict is Verdict.FAILED


def test_options_are_the_margin_balance() -> None:
    """Not the equity, which contains positions."""
    row = {"asset": "USDT", "marginBalance": "5", "equity": "9", "available": "4"}

    assert held(judged("options", data_of({"asset": [row]}))) == {
        "USDT": Balance("USDT", Decimal(5), Decimal(4))
    }


@pytest.mark.parametrize("wallet", [place.wallet for place in PLACES])
def test_a_wallet_that_only_a_refused_right_opens_is_not_covered(wallet: str) -> None:
    """It keeps the valuation of Binance."""
    read = judged(wallet, REFUSED, valued=Decimal(12))

    assert (read.verdict, read.error_code) == (Verdict.NOT_COVERED, Code.REFUSED_RIGHT)
    assert (read.exchange_code, read.endpoint) == ("-2015", "usdm_account")
    assert read.totals is not None
    assert read.totals.valued == Decimal(12)


def test_the_user_can_add_the_right_to_read_the_others() -> None:
    """A refusal there is not permitted, which makes the sync partial."""
    read = judged("funding", REFUSED)

    assert (read.verdict, read.error_code) == (Verdict.NOT_PERMITTED, Code.PERMISSION_MISSING)


@pytest.mark.parametrize("wallet", [place.wallet for place in PLACES])
@pytest.mark.parametrize("code", [Code.EXCHANGE_UNAVAILABLE, Code.KEY_REJECTED])
def test_another_fault_is_no_missing_right(wallet: str, code: Code) -> None:
    """The wallet has failed."""
    assert judged(wallet, failure(code)).verdict is Verdict.FAILED


@pytest.mark.parametrize(
    ("flag", "wallets"),
    [
        ("isMarginEnabled", {"margin", "isolated_margin"}),
        ("isFutureEnabled", {"usdm_futures", "coinm_futures"}),
        ("isOptionsEnabled", {"options"}),
    ],
)
def test_a_product_that_the_user_has_not_enabled_is_not_read(flag: str, wallets: set[str]) -> None:
    """And neither is portfolio margin."""
    flags = parse_flags(data_of(FLAGS | {flag: False}))

    assert left_out(flags, NOTHING, ()) == dict.fromkeys([*wallets, "portfolio_margin"], Code.NOT_ENABLED)


def test_a_wallet_that_is_worth_something_is_read_whatever_its_flag_says() -> None:
    """A wrong flag must not hide an amount."""
    off = Flags(margin=False, futures=False, options=False, portfolio_margin=False)
    control = Control({"options": Decimal("0.5"), "margin": Decimal(0)})

    assert ALL.keys() - left_out(off, control, ()).keys() == {"funding", "options"}


def test_portfolio_margin_replaces_three_wallets() -> None:
    """They are held elsewhere, and the worker reads the wallets that it does not replace."""
    flags = Flags(margin=True, futures=True, options=True, portfolio_margin=True)

    assert set(REPLACED) == {"margin", "usdm_futures", "coinm_futures"}
    assert left_out(flags, NOTHING, ()) == dict.fromkeys(REPLACED, Code.HELD_ELSEWHERE)


def test_a_wallet_that_was_refused_lately_is_not_asked() -> None:
    """It is left out for the same reason again."""
    assert left_out(ENABLED, NOTHING, {"usdm_futures"}) == {
        "usdm_futures": Code.REFUSED_RIGHT,
        "portfolio_margin": Code.NOT_ENABLED,
    }


@pytest.mark.parametrize("flag", sorted(FLAGS.keys() - {"vipLevel"}))
@pytest.mark.parametrize("value", [None, "true", 1])
def test_a_flag_that_is_not_told_is_no_flag(flag: str, value: object) -> None:
    """Whether portfolio margin replaces a wallet is unknown then."""
    with pytest.raises(UnexpectedResponse):
        parse_flags(data_of(FLAGS | {flag: value}))


def test_every_wallet_of_the_entry_is_read_by_one_module() -> None:
    """Spot and earn have modules of their own."""
    assert {*ALL, "spot", "earn"} == {wallet.key for wallet in BINANCE.wallets}
    assert {read.name for place in ALL.values() for read in place.reads} <= BINANCE.sync_reads


READ_ROW: dict[str, Callable[[str], Any]] = {
    "funding": lambda amount: [
        {"asset": "BTC", "free": amount, **dict.fromkeys(("locked", "freeze", "withdrawing"), "0")}
    ],
    "margin": lambda amount: {"userAssets": [margin_row("BTC", amount)]},
    "isolated_margin": lambda amount: {
        "assets": [{"baseAsset": margin_row("BTC", amount), "quoteAsset": margin_row("USDT", "0")}]
    },
    "options": lambda amount: {"asset": [{"asset": "BTC", "marginBalance": amount}]},
}


@given(wallet=st.sampled_from(sorted(READ_ROW)), amount=AMOUNTS)
def test_an_amount_counts_once_in_its_wallet(wallet: str, amount: Decimal) -> None:
    """Nothing is lost, added or rounded."""
    read = judged(wallet, data_of(READ_ROW[wallet](str(amount))))

    assert sum(balance.total for balance in read.balances or ()) == amount
