"""OKX's responses while a key is submitted, from the error code to the words for the user."""

import pytest

from contracts.credentials import Refused
from contracts.exchanges.okx import OKX
from contracts.faults import Failure
from contracts.remedies import DELETED, ROUTES, Situation
from gateway.advice import Advice
from gateway.errors import Faulted
from sync_worker.exchanges.faults import Asked, status_failure
from sync_worker.exchanges.okx.faults import OKX_CODES, okx_failure

CONFIG = Asked("account_config", "global")
UNLISTED = ("59999", "1", "-1", "")
STATUSES = (200, 302, 403, 404, 418, 429, 500, 502, 503)
SUBMITTED = [Situation.CONNECT, Situation.REPLACE]
ANSWERS: dict[str, Failure] = {
    **{f"code {number}": okx_failure(number, "", CONFIG) for number in (*OKX_CODES, *UNLISTED)},
    **{f"HTTP {status}": status_failure(status) for status in STATUSES},
}
UNTRUE = ("next sync", "sync again", "are safe", "nothing to do", "we keep")


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("situation", SUBMITTED)
def test_whatever_okx_answers_the_words_are_true_of_the_key(name: str, situation: Situation) -> None:
    """The submitted key is deleted, and is submitted again by the same route."""
    answer = ANSWERS[name]
    crossed = Refused(answer.code, answer.detail, answer.retry_after, answer.exchange_code, answer.endpoint)
    advice = Advice(situation, OKX, "global", ("192.0.2.1",))

    detail = Faulted(crossed.failure(), advice).detail

    assert DELETED[situation] in detail
    assert ROUTES[situation] in detail
    (other,) = set(SUBMITTED) - {situation}
    assert ROUTES[other] not in detail
    assert not [words for words in UNTRUE if words in detail.lower()]
    if answer.exchange_code in OKX_CODES:
        assert f"(OKX {answer.exchange_code})" in detail
