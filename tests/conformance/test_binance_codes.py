"""Every code of Binance's table has the meaning of the facts, whatever its HTTP status."""

import pytest

from contracts.faults import Code
from deploy.simulator.binance.refusals import REFUSALS
from sync_worker.exchanges.binance.faults import REFUSED, binance_failure
from sync_worker.exchanges.faults import Asked, status_failure
from tests.conformance.binance_table import MEANING, OF_THE_ADDRESS, WITHOUT_A_CODE


@pytest.mark.parametrize(
    ("code", "status"), [(code, status) for code, texts in REFUSALS.items() for status in texts]
)
def test_a_code_has_its_meaning(code: str, status: int) -> None:
    """The code of three causes alone rejects the key; where other reads work, a right is missing."""
    meant = MEANING.get(code, Code.RATE_LIMITED)
    expected = Code.KEY_REJECTED if code == REFUSED else meant

    assert (code in MEANING) is (code != OF_THE_ADDRESS)
    if code in WITHOUT_A_CODE:
        assert status_failure(status).code == expected
    else:
        assert binance_failure(code, Asked("user_assets"), status).code == expected
