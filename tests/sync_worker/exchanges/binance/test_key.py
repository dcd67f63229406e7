"""A Binance key: each true field is a right, and damage is never the lack of one."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.exchanges.binance import BINANCE
from sync_worker.errors import UnexpectedResponse
from sync_worker.exchanges.binance.key import parse_rights, parse_verified
from sync_worker.exchanges.lenient_json import read_body
from tests.sync_worker.exchanges.binance.answers import data_of, documented

ACCOUNT = {"uid": 354937868}
RIGHTS = sorted(BINANCE.read_only_permissions | BINANCE.further_permissions)


def rights_of(**fields: Any) -> tuple[str, ...]:
    """Return the rights of a key with these fields."""
    return parse_rights(data_of({"ipRestrict": True, **fields}), data_of(ACCOUNT)).permissions


def test_the_documented_key_only_reads(facts: Path) -> None:
    """Its rights are the true fields but the restriction to addresses; its facts are kept."""
    key = parse_verified(
        documented(facts, "sapi_account_apiRestrictions.0"), documented(facts, "api_v3_account.0")
    )

    assert (key.exchange_uid, key.master_uid) == ("354937868", "354937868")
    assert set(key.permissions) == {"enableReading", "enableFixReadOnly", "enablePortfolioMarginTrading"}
    assert set(key.permissions) <= BINANCE.read_only_permissions
    assert key.key.created_at == datetime(2023, 10, 30, 5, 53, 39, tzinfo=UTC)
    assert (key.key.expires_at, key.key.ip_bound) == (None, False)


@given(st.dictionaries(st.sampled_from(RIGHTS), st.booleans(), min_size=1))
def test_every_true_field_is_a_right(fields: dict[str, bool]) -> None:
    """A field that is false or absent is not a right."""
    assert set(rights_of(**fields)) == {name for name, value in fields.items() if value}


def test_a_right_that_we_do_not_know_is_named() -> None:
    """A later version may add one."""
    assert rights_of(enableReading=True, enableTeleport=True) == ("enableReading", "enableTeleport")


@pytest.mark.parametrize("value", ["true", None, 1, [True], {"on": True}])
@pytest.mark.parametrize("name", ["enableWithdrawals", "permitsUniversalTransfer", "enableTeleport"])
def test_a_right_that_can_not_be_read_makes_all_of_them_unknown(name: str, value: object) -> None:
    """It may be a right, so it is not dropped."""
    with pytest.raises(UnexpectedResponse):
        rights_of(enableReading=True, **{name: value})


def test_a_field_that_stands_twice_makes_all_of_them_unknown() -> None:
    """The second one may hide the first one."""
    body = b'{"enableReading": true, "enableWithdrawals": true, "enableWithdrawals": false}'

    with pytest.raises(UnexpectedResponse):
        parse_rights(read_body(body), data_of(ACCOUNT))


def test_the_end_of_a_key_is_kept() -> None:
    """Older answers have the time at which rights to trade end."""
    told = parse_rights(
        data_of({"enableReading": True, "tradingAuthorityExpirationTime": 1798761600000}), data_of(ACCOUNT)
    )

    assert told.key.expires_at == datetime(2027, 1, 1, tzinfo=UTC)
