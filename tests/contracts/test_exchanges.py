"""The broker signs only reads on the list."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.exchanges import EXCHANGES
from contracts.exchanges.keys import Form
from contracts.exchanges.okx import OKX
from contracts.exchanges.types import Exchange, Read, ReadNotAllowed


def test_every_read_is_a_get() -> None:
    """No endpoint on the list can change data; Binance documents two lists of assets as POST."""
    posts = {
        (exchange.key, name)
        for exchange in EXCHANGES.values()
        for name, endpoint in exchange.reads.items()
        if endpoint.method != "GET"
    }

    assert posts == {("binance", "user_assets"), ("binance", "funding_assets")}


def test_a_read_becomes_the_target_that_is_sent() -> None:
    """Path and query are joined without any encoding."""
    request = OKX.request(Read("account_balance", {"ccy": "BTC,ETH"}))

    assert (request.method, request.target, request.content) == (
        "GET",
        "/api/v5/account/balance?ccy=BTC,ETH",
        "",
    )


@pytest.mark.parametrize(("form", "enough"), [(Form.TEXT, 32), (Form.BASE64, 43)])
def test_the_catalogue_promises_no_secret_that_the_vault_refuses(form: Form, enough: int) -> None:
    """An entry requires the characters that hold the bytes of the vault's shortest key."""

    def entry(shortest: int) -> Exchange:
        fields = (
            msgspec.structs.replace(field, form=form, shortest=shortest) if field.signs else field
            for field in OKX.typed[0].fields
        )
        kind = msgspec.structs.replace(OKX.typed[0], fields=tuple(fields))
        return msgspec.structs.replace(OKX, credential_kinds=(kind,))

    signing = entry(enough).typed[0].signing_field
    assert signing is not None
    assert signing.shortest == enough
    with pytest.raises(ValueError, match="okx: the entry must require at least 32 bytes for api_secret"):
        entry(enough - 1)


@pytest.mark.parametrize(
    "read",
    [
        Read("withdrawal"),
        Read("account_config", {"ccy": "BTC"}),
        Read("account_balance", {"uid": "1"}),
        Read("../asset/withdrawal"),
    ],
)
def test_what_is_not_on_the_list_is_refused(read: Read) -> None:
    """An unknown name or query key is refused."""
    with pytest.raises(ReadNotAllowed):
        OKX.request(read)


@given(
    st.text(max_size=20).filter(
        lambda text: not text.isascii() or any(c in "&=?#%/ +;\\\n" for c in text) or not text
    )
)
def test_a_value_that_could_be_read_otherwise_is_refused(value: str) -> None:
    """No value can add a key, a path or an encoding to a signed target."""
    with pytest.raises(ReadNotAllowed):
        OKX.request(Read("account_balance", {"ccy": value}))
