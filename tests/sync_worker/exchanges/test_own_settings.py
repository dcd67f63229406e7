"""The setting of one exchange is read in its folder, and its connector gets it."""

from decimal import Decimal
from functools import partial

import pytest

from chassis.settings import BadSetting
from sync_worker.exchanges import OPTIONAL, load
from sync_worker.settings import OPTIONAL as GENERAL

NAME = "OKX_TOTAL_TOLERANCE"


@pytest.mark.parametrize(("said", "share"), [({}, "0.001"), ({NAME: ""}, "0.001"), ({NAME: "0.02"}, "0.02")])
def test_a_connector_gets_the_setting_of_its_exchange(said: dict[str, str], share: str) -> None:
    """Without the setting the connector gets the default."""
    settings = [connect.keywords for connect in load(said) if isinstance(connect, partial)]

    assert settings == [{"own": Decimal(share)}]


@pytest.mark.parametrize(
    "value", ["0", "0.0009", "0.11", "1", "-0.001", "NaN", "sNaN", "Infinity", "1%", "canary"]
)
def test_a_bad_setting_of_an_exchange_is_named(value: str) -> None:
    """The text names the variable, and repeats no possible secret."""
    with pytest.raises(BadSetting, match=NAME) as caught:
        load({NAME: value})

    assert "canary" not in str(caught.value)


def test_a_setting_is_general_or_of_one_exchange() -> None:
    """A starter passes on both kinds, and no service reads a name in two ways."""
    assert OPTIONAL == (NAME,)
    assert not {*OPTIONAL} & {*GENERAL}
