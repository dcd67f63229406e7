"""The price of an asset follows from readings; a price that lies has a code, and the last known one stays."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.faults import Code
from contracts.prices import IndexPrice, PricesRead, Quote
from gateway.portfolio.markets import Market
from gateway.portfolio.prices import derived, rates_of_pegs
from gateway.portfolio.shown_prices import Shown, alternatives, shown
from gateway.rows.prices import Known, Method, PriceCode

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ID = UUID(int=1)
# The gateway may spend 20 ms of CPU on a reading of 2,000 rows.
NOTHING = PricesRead("okx", ID, NOW, (), ())


def quote(pair: str, last: str | None, at: datetime = NOW, **fields: Any) -> Quote:
    """Return a quote with a book around its last trade and a good volume."""
    base, _, unit = pair.partition("-")
    usual: dict[str, Any] = {"bid": last, "ask": last, "volume": "1000000", "at": at}
    return Quote(base, unit, last, **(usual | fields))


def index(base: str, price: str, at: datetime = NOW) -> IndexPrice:
    """Return an index in USD."""
    return IndexPrice(base, "USD", price, at)


def read(*quotes: Quote, indexes: tuple[IndexPrice, ...] = (), at: datetime = NOW) -> PricesRead:
    """Return a reading; USDT has an index of 1 unless another is given."""
    own = () if any(each.base == "USDT" for each in indexes) else (index("USDT", "1", at),)
    return PricesRead("okx", ID, at, quotes, (*indexes, *own))


def after(*readings: PricesRead) -> dict[str, Known]:
    """Return what is known after readings, each recorded when it was read."""
    known: dict[str, Known] = {}
    for each in readings:
        known = derived(Market(each, each.read_at), known)
    return known


def price(known: Mapping[str, Known], asset: str, now: datetime = NOW, last: PricesRead = NOTHING) -> Shown:
    """Return the price of an asset as the API shows it after the last reading."""
    return shown(asset, known[asset], Market(last, last.read_at), now)


def test_a_trade_against_usd_is_direct() -> None:
    """It counts before every other pair, however much that is traded."""
    known = after(read(quote("BTC-USD", "64000"), quote("BTC-USDT", "65000", volume="9e12")))

    assert (price(known, "BTC").value, price(known, "BTC").method) == (Decimal(64000), Method.DIRECT)


def test_a_cross_lists_its_legs() -> None:
    """The value is the exact product of the legs, the second of which is that of the other asset."""
    known = after(read(quote("SOL-USDT", "150.1"), indexes=(index("USDT", "0.9995"),)))

    seen = price(known, "SOL")
    assert (seen.value, seen.method) == (Decimal("150.02495"), Method.CROSS)
    told = [(leg.pair, str(leg.price)) for leg in seen.legs]
    assert told == [("SOL-USDT", "150.1"), ("USDT-USD", "0.9995")]


def test_the_pair_with_most_trades_counts() -> None:
    """Liquidity is compared in USD; equal pairs stand in one order, whatever that of the list."""
    legs = (quote("BTC-USD", "50000"), quote("USDC-USD", "1"))
    pairs = (
        quote("SOL-USDT", "150", volume="1000"),
        quote("SOL-USDC", "151", volume="1000"),
        quote("SOL-BTC", "0.00304", volume="1"),
    )

    known = after(read(*legs, *pairs))
    assert price(known, "SOL").pair == "SOL-BTC"
    for two in (pairs[:2], pairs[1::-1]):
        assert price(after(read(*legs, *two)), "SOL").pair == "SOL-USDT"


@given(st.permutations(["SOL-USDT", "SOL-USDC", "SOL-BTC", "ETH-BTC", "SOL-ETH", "BTC-USDT", "USDC-USDT"]))
def test_the_order_of_a_list_changes_nothing(pairs: list[str]) -> None:
    """The same rows give the same prices."""
    rows = {pair: quote(pair, str(number)) for number, pair in enumerate(sorted(pairs), start=1)}

    assert after(read(*(rows[pair] for pair in pairs))) == after(read(*(rows[pair] for pair in rows)))


@given(
    st.dictionaries(
        st.sampled_from(["A", "B", "C"]),
        st.decimals("0.000001", "1000000", allow_nan=False, allow_infinity=False, places=6),
        min_size=1,
    ),
    st.decimals("0.5", "1.5", places=4),
)
def test_a_cross_is_the_exact_product_of_its_legs(prices: dict[str, Decimal], rate: Decimal) -> None:
    """No digit is lost on the way to USD."""
    quotes = [quote(f"{asset}-USDT", str(last)) for asset, last in prices.items()]
    known = after(read(*quotes, indexes=(index("USDT", str(rate)),)))

    assert {asset: price(known, asset).value for asset in prices} == {
        asset: last * rate for asset, last in prices.items()
    }


def test_a_pegged_coin_is_worth_its_market_rate() -> None:
    """USDT at 0.90 is worth 0.90, and so is all that is priced by it; the deviation is said."""
    known = after(read(quote("SOL-USDT", "100"), indexes=(index("USDT", "0.90"),)))

    usdt = price(known, "USDT")
    assert (usdt.value, usdt.method, usdt.observed) == (Decimal("0.90"), Method.PEG, Decimal("0.90"))
    assert usdt.code == PriceCode.PEG_DEVIATES
    assert price(known, "SOL").value == Decimal(90)


def test_face_value_counts_only_without_any_market_and_says_so() -> None:
    """Once a market rate was known, it stays instead."""
    face = price(after(NOTHING), "USDC")
    assert (face.value, face.observed, face.code) == (Decimal(1), None, PriceCode.PEG_UNOBSERVED)

    later = PricesRead("okx", ID, NOW + MINUTE, (), ())
    kept = price(after(read(quote("USDC-USD", "0.97")), later), "USDC", NOW + MINUTE)
    assert (kept.value, kept.method) == (Decimal("0.97"), Method.LAST_KNOWN)


def test_what_comes_to_usd_by_a_face_value_says_so() -> None:
    """No market shows that the coin is worth 1 USD, so nothing that is priced by it is certain."""
    known = after(PricesRead("okx", ID, NOW, (quote("SOL-USDT", "150"), quote("ETH-SOL", "20")), ()))

    seen = price(known, "SOL")
    assert (seen.value, seen.code) == (Decimal(150), PriceCode.PEG_UNOBSERVED)


def test_usd_is_the_unit() -> None:
    """It is worth 1 USD, also where it is traded against a coin; without a list it grows old as any other."""
    known = after(read(quote("USD-USDT", "1.02")))

    assert (price(known, "USD").value, price(known, "USD").method) == (Decimal(1), Method.DIRECT)
    assert "USD" not in after(PricesRead("ecb", ID, NOW, None, (index("EUR", "1.08"),)))


LIES = {
    "zero": ({"last": "0"}, PriceCode.INVALID),
    "negative": ({"last": "-150"}, PriceCode.INVALID),
    "unreadable": ({"last": "n/a"}, PriceCode.INVALID),
    "not a number": ({"last": "NaN"}, PriceCode.INVALID),
    "infinite": ({"last": "Infinity"}, PriceCode.INVALID),
    "missing": ({"last": None}, PriceCode.INVALID),
    "without a time": ({"at": None}, PriceCode.INVALID),
    "of tomorrow": ({"at": NOW + timedelta(days=1)}, PriceCode.INVALID),
    "twenty times as much": ({"last": "3000"}, PriceCode.IMPLAUSIBLE),
    "a twentieth": ({"last": "7.5"}, PriceCode.IMPLAUSIBLE),
    "empty book": ({"bid": None}, PriceCode.THIN),
    "empty book of zeros": ({"ask": "0"}, PriceCode.THIN),
    "crossed book": ({"bid": "151", "ask": "149"}, PriceCode.THIN),
    "no volume": ({"volume": "0"}, PriceCode.THIN),
    "unknown volume": ({"volume": None}, PriceCode.THIN),
    "an old time": ({"at": NOW - timedelta(hours=1)}, PriceCode.LAST_KNOWN),
}


@pytest.mark.parametrize(("lie", "code"), LIES.values(), ids=LIES)
def test_a_lying_price_replaces_none(lie: dict[str, Any], code: PriceCode) -> None:
    """It has a code of its own, and the last known price stays, marked as such."""
    lying = msgspec.structs.replace(quote("SOL-USDT", lie.get("last", "150"), NOW + MINUTE), **lie)
    known = after(read(quote("SOL-USDT", "150")), read(lying, at=NOW + MINUTE))

    seen = price(known, "SOL", NOW + MINUTE)
    assert (seen.value, seen.method, seen.code) == (Decimal(150), Method.LAST_KNOWN, code)
    assert seen.observed_at == NOW
    assert seen.words


@pytest.mark.parametrize(("lie", "code"), LIES.values(), ids=LIES)
def test_a_lying_price_never_becomes_the_first(lie: dict[str, Any], code: PriceCode) -> None:
    """Without a price before it, the asset has none; only what is implausible or old needs one before."""
    lying = msgspec.structs.replace(quote("SOL-USDT", lie.get("last", "150")), **lie)
    known = after(read(lying))

    has_price = code in {PriceCode.IMPLAUSIBLE, PriceCode.LAST_KNOWN}
    assert (price(known, "SOL").value is not None) is has_price


def test_a_jump_is_believed_after_ten_minutes() -> None:
    """The exchange must show it in every reading of ten minutes."""

    def reading(minute: int, last: str) -> PricesRead:
        at = NOW + minute * MINUTE
        return read(quote("SOL-USDT", last, at), at=at)

    before = [reading(0, "150"), *(reading(minute, "3000") for minute in range(1, 11))]
    assert price(after(*before), "SOL", NOW + 10 * MINUTE).value == Decimal(150)
    assert price(after(*before, reading(11, "3010")), "SOL", NOW + 11 * MINUTE).value == Decimal(3010)
    back = [reading(0, "150"), reading(1, "3000"), reading(2, "151"), reading(11, "3000")]
    assert price(after(*back), "SOL", NOW + 11 * MINUTE).value == Decimal(151)


def test_a_jump_over_more_than_an_hour_is_believed() -> None:
    """Nothing says that the price was another one meanwhile."""
    later = NOW + timedelta(minutes=61)
    known = after(read(quote("SOL-USDT", "150")), read(quote("SOL-USDT", "3000", later), at=later))

    assert price(known, "SOL", later).value == Decimal(3000)


def test_a_pair_that_lies_does_not_hide_a_good_one() -> None:
    """The next best pair counts, and the other stands beside it with its code."""
    reading = read(quote("SOL-USDT", "0"), quote("SOL-USDC", "150"), quote("USDC-USD", "1"))
    known = after(reading)

    assert (price(known, "SOL").value, price(known, "SOL").pair) == (Decimal(150), "SOL-USDC")
    (other,) = alternatives("SOL", known, Market(reading, NOW), NOW)
    assert (other.pair, other.value, other.code) == ("SOL-USDT", None, PriceCode.INVALID)


@pytest.mark.parametrize(
    ("age", "value", "method", "code"),
    [
        (15 * MINUTE, 150, Method.CROSS, None),
        (16 * MINUTE, 150, Method.LAST_KNOWN, PriceCode.LAST_KNOWN),
        (timedelta(hours=24), 150, Method.LAST_KNOWN, PriceCode.LAST_KNOWN),
        (timedelta(hours=24, seconds=1), None, None, PriceCode.UNPRICED),
    ],
)
def test_a_price_grows_old(age: timedelta, value: int | None, method: str | None, code: str | None) -> None:
    """After 15 minutes it is the last known one; after 24 hours it is unknown, never zero."""
    seen = price(after(read(quote("SOL-USDT", "150"))), "SOL", NOW + age)

    assert (seen.value, seen.method, seen.code) == (value, method, code)


def test_an_unreadable_market_rate_is_no_delisting() -> None:
    """The index of a pegged coin has the codes of a price, and the last market rate stays."""
    later = read(indexes=(index("USDT", "0", NOW + MINUTE),), at=NOW + MINUTE)
    seen = price(after(read(indexes=(index("USDT", "0.98"),)), later), "USDT", NOW + MINUTE)

    assert (seen.value, seen.code) == (Decimal("0.98"), PriceCode.INVALID)


def test_a_delisted_pair_is_the_last_known_one_and_then_none() -> None:
    """An asset that is absent from a whole list keeps its price for a day, and says so at once."""
    gone = after(read(quote("SOL-USDT", "150")), read(at=NOW + MINUTE))

    assert price(gone, "SOL", NOW + MINUTE).value == Decimal(150)
    assert price(gone, "SOL", NOW + MINUTE).code == PriceCode.NOT_LISTED
    assert price(gone, "SOL", NOW + timedelta(hours=25)).value is None


def test_a_list_that_was_not_read_changes_nothing() -> None:
    """A failed read is no delisting; the prices only grow old."""
    before = after(read(quote("SOL-USDT", "150"), indexes=(index("SOL", "150"),)))
    failed = PricesRead("okx", ID, NOW + MINUTE, None, None, Code.EXCHANGE_TIMEOUT)

    assert derived(Market(failed, NOW + MINUTE), before) == before


def test_prices_outlive_a_minute_without_the_index_of_their_leg() -> None:
    """The market rate of USDT is then that of the minute before."""
    sol = quote("SOL-USDT", "151", NOW + MINUTE)
    later = PricesRead("okx", ID, NOW + MINUTE, (sol,), None, Code.RATE_LIMITED)
    known = after(read(quote("SOL-USDT", "150"), indexes=(index("USDT", "0.9"),)), later)

    seen = price(known, "SOL", NOW + MINUTE)
    assert (seen.value, seen.method, seen.observed_at) == (Decimal("135.9"), Method.CROSS, NOW)


@pytest.mark.parametrize(("at", "code"), [("153.1", PriceCode.DISPUTED), ("152.9", None), ("147.1", None)])
def test_a_trade_far_from_the_index_is_disputed(at: str, code: PriceCode | None) -> None:
    """More than 2 % of the index; the trade counts, and the index stands beside it."""
    reading = read(quote("SOL-USDT", at), indexes=(index("SOL", "150"),))
    seen = price(after(reading), "SOL", last=reading)

    assert (seen.value, seen.code) == (Decimal(at), code)
    (other,) = alternatives("SOL", after(reading), Market(reading, NOW), NOW)
    assert (other.method, other.value) == (Method.INDEX, Decimal(150))


def test_no_price_is_newer_than_its_reading() -> None:
    """A worker's clock that is ahead makes no old price new: its age counts back from now."""
    ahead = NOW + timedelta(hours=2)
    reading = read(quote("SOL-USDT", "150", ahead - 20 * MINUTE), at=ahead)

    seen = price(derived(Market(reading, NOW), {}), "SOL")
    assert (seen.observed_at, seen.code) == (NOW - 20 * MINUTE, PriceCode.LAST_KNOWN)


numbers = st.sampled_from([None, "", "0", "-1", "1", "150", "1e-30", "1E40", "NaN", "sNaN", "x", "9" * 40])
LATER = [timedelta(minutes=-20), timedelta(days=-9), timedelta(days=9)]
times = st.sampled_from([None, NOW, *(NOW + later for later in LATER)])
quotes = st.builds(
    Quote,
    st.sampled_from(["SOL", "USDT", "BTC", "ETH", "USDC"]),
    st.sampled_from(["USD", "USDT", "BTC", "EUR"]),
    numbers,
    numbers,
    numbers,
    numbers,
    times,
)
indexes = st.builds(IndexPrice, st.sampled_from(["SOL", "USDT", "BTC"]), st.just("USD"), numbers, times)
readings = st.builds(
    PricesRead,
    st.just("okx"),
    st.just(ID),
    st.sampled_from([NOW, NOW + MINUTE, NOW + timedelta(hours=2)]),
    st.none() | st.lists(quotes, max_size=8).map(tuple),
    st.none() | st.lists(indexes, max_size=3).map(tuple),
)


@given(st.lists(readings, max_size=4))
def test_no_reading_makes_a_price_that_is_not_positive(several: list[PricesRead]) -> None:
    """Whatever a worker sends, no price is zero, negative, infinite or newer than now; all can be stored."""
    known: dict[str, Known] = {}
    for each in several:
        known = derived(Market(each, min(each.read_at, NOW + timedelta(hours=1))), known)
    for asset in known:
        seen = price(known, asset, NOW + timedelta(hours=1))
        assert seen.value is None or (seen.value.is_finite() and seen.value > 0)
        assert seen.observed_at is None or seen.observed_at <= NOW + timedelta(hours=1)
        for reading in several[-1:]:
            alternatives(asset, known, Market(reading, NOW), NOW)
    assert msgspec.json.decode(msgspec.json.encode(known), type=dict[str, Known]) == known


def binance(*quotes: Quote, at: datetime = NOW) -> Market:
    """Return the market of an exchange that reports neither volumes nor indexes."""
    return Market(PricesRead("binance", ID, at, quotes, (), has_volumes=False), at)


def test_without_volumes_a_pair_with_offers_is_not_thin() -> None:
    """The exchange reports none; an empty book still has no price."""
    market = binance(quote("BTC-USDT", "64000", volume=None), quote("ETH-USDT", "3000", bid="0", volume=None))

    known = derived(market, {})

    assert known["BTC"].price is not None
    assert known["BTC"].price.value == Decimal(64000)
    assert known["ETH"] == Known(None, PriceCode.THIN)


@pytest.mark.parametrize(
    ("last", "code"),
    [("89", PriceCode.THIN), ("91", None), ("115", None), ("122", PriceCode.THIN), ("5", PriceCode.THIN)],
)
def test_without_volumes_a_trade_that_the_offers_left_behind_is_no_price(
    last: str, code: PriceCode | None
) -> None:
    """The exchange does not say when the pair was traded: buyers pay 100 now, and sellers ask for 110."""
    market = binance(quote("ETH-USDT", last, bid="100", ask="110", volume=None))

    known = derived(market, {})["ETH"]
    assert (known.price is None, known.code) == (code is not None, code)
    endless = binance(quote("ETH-USDT", last, bid="1", ask="9e999999", volume=None))
    assert derived(endless, {})["ETH"].code == PriceCode.THIN


def test_a_pegged_coin_has_the_rate_of_an_exchange_with_indexes() -> None:
    """An exchange without indexes cannot show its worth, and the pairs there come to USD by it."""
    okx = Market(read(indexes=(index("USDT", "0.99"),)), NOW)
    rates = rates_of_pegs(okx, derived(okx, {}), NOW)

    known = derived(binance(quote("BTC-USDT", "100", volume=None)), {}, rates)

    assert known["BTC"].price is not None
    assert known["BTC"].price.value == Decimal("99.00")
    assert known["USDT"].price is not None
    assert known["USDT"].price.observed == Decimal("0.99")


def test_without_such_a_rate_the_face_value_counts_and_says_so() -> None:
    """It is never lent on by the exchange that borrowed it, and an old one does not stay."""
    market = binance(quote("BTC-USDT", "100", volume=None))
    okx = Market(read(indexes=(index("USDT", "0.99"),)), NOW)
    lent = derived(market, {}, rates_of_pegs(okx, derived(okx, {}), NOW))

    assert rates_of_pegs(market, lent, NOW) == {}
    assert rates_of_pegs(okx, derived(okx, {}), NOW + timedelta(minutes=16)) == {}
    known = derived(binance(quote("BTC-USDT", "100", NOW + MINUTE, volume=None), at=NOW + MINUTE), lent)
    last = shown("BTC", known["BTC"], market, NOW + MINUTE)
    assert (last.value, last.code) == (Decimal(100), PriceCode.PEG_UNOBSERVED)
