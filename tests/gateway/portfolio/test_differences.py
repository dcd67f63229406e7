"""A change has its cause: more or less of an asset, or a wallet that is read for the first time."""

from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from gateway.portfolio.differences import AssetDifference, Cause, difference
from gateway.rows.snapshots import Amount, Content, WalletPart

NOW = datetime(2026, 11, 28, tzinfo=UTC)
AMOUNTS = st.dictionaries(
    st.sampled_from([("trading", "BTC"), ("trading", "ETH"), ("funding", "BTC"), ("funding", "ETH")]),
    st.decimals(-100, 100, places=3),
)


def content(amounts: dict[tuple[str, str], Decimal], **states: str) -> Content:
    """Return the content of a snapshot, whose two wallets are fresh unless told otherwise."""
    wallets = tuple(
        WalletPart(name, state, NOW, None if state == "fresh" else "exchange_timeout")
        for name, state in ({"trading": "fresh", "funding": "fresh"} | states).items()
    )
    held = tuple(Amount(wallet, asset, amount) for (wallet, asset), amount in amounts.items())
    return Content(wallets, held, {})


@given(AMOUNTS, AMOUNTS)
def test_quantities_change_by_the_sums_of_wallets(
    before: dict[tuple[str, str], Decimal], after: dict[tuple[str, str], Decimal]
) -> None:
    """Moving an asset between wallets changes no total, and nothing else is left out or added."""
    found = difference(content(before), content(after))

    def sums(amounts: dict[tuple[str, str], Decimal]) -> dict[str, Decimal]:
        return {
            asset: sum((each for (_, name), each in amounts.items() if name == asset), Decimal())
            for asset in ("BTC", "ETH")
        }

    expected = [
        AssetDifference(asset, Cause.QUANTITY, old, sums(after)[asset])
        for asset, old in sums(before).items()
        if old != sums(after)[asset]
    ]
    assert list(found.assets) == expected
    assert found.wallets == ()


def test_a_failed_wallet_changes_no_quantity() -> None:
    """Its state and its error do."""
    held = {("trading", "BTC"): Decimal(1)}

    found = difference(content(held), content(held, trading="stale"))

    assert found.assets == ()
    ((wallet),) = found.wallets
    assert (wallet.old_state, wallet.new_state, wallet.new_error) == ("fresh", "stale", "exchange_timeout")


def test_what_a_first_read_shows_is_no_change_of_a_quantity() -> None:
    """It may have been there before: of a wallet, and of an account."""
    one, both = (
        {("trading", "BTC"): Decimal(1)},
        {("trading", "BTC"): Decimal(1), ("funding", "BTC"): Decimal(2)},
    )

    wallet = difference(content(one, funding="never_read"), content(both))
    account = difference(None, content(both))

    assert wallet.assets == (AssetDifference("BTC", Cause.COVERAGE, Decimal(1), Decimal(3)),)
    assert account.assets == (AssetDifference("BTC", Cause.COVERAGE, None, Decimal(3)),)
    assert [each.old_state for each in account.wallets] == [None, None]
