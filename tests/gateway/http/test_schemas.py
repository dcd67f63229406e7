"""The OpenAPI schemas say of each exchange what its catalogue entry says."""

import pytest

from contracts.exchanges.okx import OKX
from contracts.exchanges.types import Exchange
from gateway.http.schemas import CREDENTIALS, _credentials
from tests.toy.entry import TOY


@pytest.mark.parametrize("exchange", [OKX, TOY], ids=lambda exchange: exchange.key)
def test_a_field_of_a_key_has_the_bounds_of_its_entry(exchange: Exchange) -> None:
    """A client made from the document refuses a value that is too short or too long, like the gateway."""
    schema = _credentials(exchange).to_schema()

    assert {name: (each["minLength"], each["maxLength"]) for name, each in schema["properties"].items()} == {
        field.key: (field.shortest, field.longest) for field in exchange.typed[0].fields
    }


def test_a_submission_is_the_fields_of_one_exchange() -> None:
    """The document lists the exchanges of the catalogue as choices."""
    assert CREDENTIALS.schema_extra is not None
    assert CREDENTIALS.schema_extra["any_of"] == [_credentials(OKX)]
