"""The pure functions of signing."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from contracts.exchanges import EXCHANGES
from contracts.exchanges.types import Request
from contracts.wire.grants import VERIFY
from vault_broker.schemes.okx import iso_timestamp, message
from vault_broker.schemes.types import Draft
from vault_broker.signing import granted_reads


@given(st.integers(min_value=0, max_value=253402300799999))
def test_timestamp_keeps_every_millisecond(milliseconds: int) -> None:
    """The text has exactly three decimals and a Z, and reads back as the same moment."""
    text = iso_timestamp(milliseconds)

    assert len("2020-12-08T09:08:57.715Z") == len(text)
    seconds, rest = divmod(milliseconds, 1000)
    assert datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000) == datetime.fromisoformat(
        text
    )


def test_the_signature_covers_the_body() -> None:
    """OKX signs timestamp, method, target and body, so that none of them can be exchanged."""
    request = Request("POST", "/api/v5/list", query={"ccy": "BTC"}, body={"page": "2"}, encoding="json")

    signed = message(Draft("list", request, 0, "2020-12-08T09:08:57.715Z"), {})

    assert signed == b'2020-12-08T09:08:57.715ZPOST/api/v5/list?ccy=BTC{"page":"2"}'


def test_purposes_name_reads_on_the_list() -> None:
    """A purpose grants only reads on the list, and only a sync may read balances."""
    for exchange in EXCHANGES.values():
        assert granted_reads(exchange, "sync 1") == exchange.reads.keys()
        assert granted_reads(exchange, VERIFY) < exchange.reads.keys()
    assert granted_reads(EXCHANGES["okx"], VERIFY) == {"account_config"}
    assert granted_reads(EXCHANGES["okx"], "withdraw 1") == frozenset()
