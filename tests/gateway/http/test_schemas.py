"""The OpenAPI schemas say of each exchange what its catalogue entry says."""

import pytest

from contracts.exchanges import EXCHANGES
from contracts.exchanges.binance import BINANCE
from contracts.exchanges.keys import CredentialKind
from contracts.exchanges.okx import OKX
from contracts.exchanges.types import Exchange
from gateway.http.schemas import CREDENTIALS, _credentials
from tests.toy.entry import TOY

KINDS = [(exchange, kind) for exchange in (OKX, BINANCE, TOY) for kind in exchange.credential_kinds]


@pytest.mark.parametrize(("exchange", "kind"), KINDS, ids=lambda each: each.key)
def test_a_field_of_a_key_has_the_bounds_of_its_entry(exchange: Exchange, kind: CredentialKind) -> None:
    """A client made from the document refuses a value that is too short or too long, like the gateway."""
    schema = _credentials(exchange, kind).to_schema()

    assert {name: (each["minLength"], each["maxLength"]) for name, each in schema["properties"].items()} == {
        field.key: (field.shortest, field.longest) for field in kind.fields
    }


def test_a_submission_is_the_fields_of_one_kind_of_one_exchange() -> None:
    """The document lists the kinds of all exchanges as choices with their steps, long ones first."""
    assert CREDENTIALS.schema_extra is not None
    listed = CREDENTIALS.schema_extra["any_of"]
    kinds = [_credentials(each, kind) for each in EXCHANGES.values() for kind in each.credential_kinds]
    assert len(listed) == len(kinds)
    assert all(kind in listed for kind in kinds)
    sizes = [len(each.required) for each in listed]
    assert sizes == sorted(sizes, reverse=True)
    born = _credentials(BINANCE, BINANCE.credential_kinds[0])
    assert (born.title, born.required) == (
        "Binance credentials: Ed25519 key that is born in our vault",
        ["api_key"],
    )
    assert "paste the public key" in (born.description or "")
    assert _credentials(OKX, OKX.typed[0]).title == "OKX credentials"
