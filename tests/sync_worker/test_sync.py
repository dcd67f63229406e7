"""What a sync makes of what was read: verdicts, tries, the outcome."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.bus.envelope import encode
from contracts.bus.topology import MAX_DELIVER
from contracts.catalogue import OKX
from contracts.faults import FAULTS, Actor, Code, failure
from contracts.syncs import MAX_OUTCOME_BYTES, Status, SyncCompleted, SyncFailed, TotalCheck, Verdict
from contracts.values import Balance
from sync_worker.errors import ContradictoryTotal
from sync_worker.outages import MAX_MESSAGES, Outages
from sync_worker.sync import (
    MAX_DELIVERIES,
    MAX_TRIES,
    OF_ONE_WALLET,
    OWN_PARTS,
    OWN_PARTS_DELAY,
    TRY_SECONDS,
    Attempt,
    Reading,
    next_try,
    nothing_read,
    outcome,
)
from sync_worker.verdicts import Listed, check_total, unread
from tests.sync_worker.wording import a_request, bitcoin, complete, failed

CODES = st.sampled_from(list(Code))


def reading(trading: Code | None, funding: Code | None = None, retry_after: float | None = None) -> Reading:
    """Write a reading in which wallets failed with these codes, or none."""
    faults = {"trading": trading, "funding": funding}
    wallets = (failed(name, code) if code else complete(name) for name, code in faults.items())
    return Reading(tuple(wallets), retry_after)


def test_all_wallets_read_is_the_last_word() -> None:
    """Where nothing failed there is no other try."""
    assert next_try(reading(None), Attempt(1), 120, 1.0) is None


@pytest.mark.parametrize(("attempt", "delay"), [(1, 2.0), (2, 4.0), (3, 8.0), (4, None), (5, None)])
def test_a_passing_fault_is_tried_four_times(attempt: int, delay: float | None) -> None:
    """Each wait is twice the one before."""
    assert next_try(reading(None, Code.EXCHANGE_UNAVAILABLE), Attempt(attempt), 120, 1.0) == delay


def test_the_wait_that_the_exchange_asks_for_is_kept() -> None:
    """Nothing is tried earlier than Retry-After says, nor earlier than by our own rule."""
    assert next_try(reading(Code.RATE_LIMITED, retry_after=10.0), Attempt(1), 120, 1.2) == 12.0
    assert next_try(reading(Code.RATE_LIMITED, retry_after=10.0), Attempt(1), 120, 0.8) == 10.0
    assert next_try(reading(Code.RATE_LIMITED, retry_after=1.0), Attempt(3), 120, 1.0) == 8.0


def test_a_try_that_does_not_fit_before_the_deadline_is_not_made() -> None:
    """What was read is published while it is still wanted."""
    limited = reading(None, Code.RATE_LIMITED, retry_after=10.0)

    assert next_try(limited, Attempt(1), 12.0, 1.0) == 10.0
    assert next_try(limited, Attempt(1), 11.9, 1.0) is None
    assert next_try(reading(None, Code.RATE_LIMITED, retry_after=3600.0), Attempt(1), 7200, 1.0) is None


@pytest.mark.parametrize("code", sorted(OWN_PARTS))
def test_our_own_parts_are_waited_for_until_the_deadline(code: Code) -> None:
    """A vault that is sealed does not use up the tries; in time, the sync fails with that very code."""
    out = nothing_read(OKX, failure(code))

    assert next_try(out, Attempt(MAX_TRIES + 9), 60, 0.8) == pytest.approx(5.0)
    assert next_try(out, Attempt(MAX_TRIES + 9), 60, 1.2) == pytest.approx(7.5)
    assert next_try(out, Attempt(MAX_TRIES + 9), 7, 1.0) is None
    said = outcome(a_request(), OKX, out, 13)
    assert isinstance(said, SyncFailed)
    assert said.error_code == code


def test_an_outage_of_ours_uses_up_no_try_at_the_exchange() -> None:
    """After nine returns for a sealed vault, a fault of the exchange is waited for as after none."""
    limited = reading(None, Code.RATE_LIMITED)

    assert next_try(limited, Attempt(10, outages=9), 120, 1.0) == 2.0
    assert next_try(limited, Attempt(13, outages=9), 120, 1.0) is None
    assert next_try(limited, Attempt(10), 120, 1.0) is None
    assert next_try(limited, Attempt(1, outages=9), 120, 1.0) == 2.0


@given(deadline=st.floats(10, 2000))
def test_an_outage_of_ours_is_waited_for_with_the_deliveries_there_are(deadline: float) -> None:
    """However far the deadline, the server does not give the message up before it."""
    out, left, delivery = nothing_read(OKX, failure(Code.VAULT_UNAVAILABLE)), deadline, 1

    while (delay := next_try(out, Attempt(delivery, delivery - 1), left, 1.0)) is not None:
        left, delivery = left - delay, delivery + 1

    assert delivery < MAX_DELIVER
    assert left <= max(OWN_PARTS_DELAY, deadline / MAX_DELIVERIES) + TRY_SECONDS


def test_outages_are_counted_for_so_many_messages_only() -> None:
    """What is kept is bounded; the message that was counted longest ago goes first."""
    outages, messages = Outages(), [str(number) for number in range(MAX_MESSAGES + 1)]
    for message in [*messages[:-1], messages[0], messages[-1]]:
        outages.add(message)

    assert [outages.of(each) for each in (messages[0], messages[1], messages[2], messages[-1])] == [
        2,
        0,
        1,
        1,
    ]

    outages.forget(messages[0])

    assert outages.of(messages[0]) == 0


def test_what_only_the_user_can_mend_is_told_at_once() -> None:
    """A wrong key does not become right while the other wallet is tried again."""
    assert next_try(reading(Code.KEY_UNKNOWN, Code.EXCHANGE_TIMEOUT), Attempt(1), 120, 1.0) is None


@pytest.mark.parametrize("code", sorted(OF_ONE_WALLET))
def test_a_restriction_of_one_wallet_does_not_give_up_the_other(code: Code) -> None:
    """Where the account or the key is not refused as such, what passes is tried again."""
    assert next_try(reading(Code.RATE_LIMITED, code), Attempt(1), 120, 1.0) == 2.0
    assert next_try(reading(None, code), Attempt(1), 120, 1.0) is None


def test_a_wallet_that_may_not_be_read_is_not_tried_again() -> None:
    """not_permitted is an answer, and makes the sync partial."""
    partly = reading(None, Code.PERMISSION_MISSING)

    assert next_try(partly, Attempt(1), 120, 1.0) is None
    said = outcome(a_request(), OKX, partly, 1)
    assert said.status == Status.PARTIAL
    assert said.wallets[1].verdict is Verdict.NOT_PERMITTED
    assert said.wallets[1].balances is None


@given(trading=CODES, funding=st.none() | CODES, attempt=st.integers(1, 60), left=st.floats(-10, 200))
def test_every_try_fits_and_tries_end(trading: Code, funding: Code | None, attempt: int, left: float) -> None:
    """A try starts before the deadline; past it nothing is tried."""
    delay = next_try(reading(trading, funding), Attempt(attempt), left, 1.2)

    if delay is not None:
        assert 0 < delay < left


@given(trading=st.none() | CODES, funding=st.none() | CODES)
def test_every_reading_has_an_outcome(trading: Code | None, funding: Code | None) -> None:
    """Whatever the faults, the outcome names each wallet of the catalogue, in its order."""
    said = outcome(a_request(), OKX, reading(trading, funding), 1)

    assert [read.wallet for read in said.wallets] == [wallet.key for wallet in OKX.wallets]
    assert (said.status == Status.COMPLETED) is (trading is funding is None)
    assert (said.status == Status.FAILED) is (trading is not None and funding is not None)
    assert isinstance(said, SyncFailed if said.status == Status.FAILED else SyncCompleted)


@pytest.mark.parametrize(
    ("trading", "funding", "told"),
    [
        (Code.EXCHANGE_TIMEOUT, Code.KEY_UNKNOWN, Code.KEY_UNKNOWN),
        (Code.UNEXPECTED_RESPONSE, Code.PERMISSION_MISSING, Code.PERMISSION_MISSING),
        (Code.RATE_LIMITED, Code.UNEXPECTED_RESPONSE, Code.UNEXPECTED_RESPONSE),
        (Code.EXCHANGE_UNREACHABLE, Code.RATE_LIMITED, Code.EXCHANGE_UNREACHABLE),
    ],
)
def test_the_fault_that_tells_most_is_told(trading: Code, funding: Code, told: Code) -> None:
    """First what the user can mend, then the operator's, then what passes; else the first wallet's."""
    said = outcome(a_request(), OKX, reading(trading, funding), 1)

    assert isinstance(said, SyncFailed)
    assert said.error_code is told
    assert said.error.startswith(FAULTS[told].words)


def test_an_outcome_too_large_to_send_says_so() -> None:
    """It is never lost, and nothing of it looks as if it were all."""
    many = tuple(Balance(f"COIN{number:09}", Decimal("0.000000000000000001")) for number in range(20_000))

    said = outcome(a_request(), OKX, Reading((complete("trading", *many), complete("funding"))), 1)

    assert isinstance(said, SyncFailed)
    assert said.error_code == Code.TOO_MANY_ASSETS
    assert all(read.balances is None for read in said.wallets)
    assert len(encode(said)) < 4096


def test_thousands_of_assets_can_be_sent() -> None:
    """The limit is that of the stream, one mebibyte, which no ordinary account comes near."""
    many = tuple(Balance(f"COIN{number:05}", Decimal(number)) for number in range(8_000))

    said = outcome(a_request(), OKX, Reading((complete("trading", *many), complete("funding"))), 1)

    assert said.status == Status.COMPLETED
    assert len(encode(said)) < MAX_OUTCOME_BYTES


@pytest.mark.parametrize(
    ("listed", "total"),
    [
        (Listed((bitcoin(),), Decimal(64000)), Decimal(64000)),
        (Listed((bitcoin(),), Decimal(64000)), Decimal("71000")),
        (Listed((bitcoin(),), Decimal(3)), Decimal("12.9")),
        (Listed((bitcoin(),), Decimal(9)), Decimal(0)),
        (Listed((bitcoin(),), Decimal(64000), Decimal(64000)), Decimal(60000)),
        (Listed(()), Decimal("0.01")),
        (Listed((bitcoin("-1"),), Decimal(-64000)), Decimal(-64000)),
    ],
)
def test_a_list_that_its_prices_can_explain_agrees(listed: Listed, total: Decimal) -> None:
    """A tenth, or ten dollars, is what prices from two sources may differ by."""
    assert check_total(listed, total) is TotalCheck.AGREES


@pytest.mark.parametrize(
    ("listed", "total"),
    [
        (Listed(()), Decimal("0.02")),
        (Listed(()), Decimal(-5)),
        (Listed((bitcoin("0"),)), Decimal(100)),
        (Listed((bitcoin(),), Decimal(64000)), Decimal(72000)),
        (Listed((bitcoin(),), Decimal(1)), Decimal(20)),
        (Listed((bitcoin(),), Decimal(64000)), Decimal(0)),
        (Listed((bitcoin(),), Decimal(64000)), Decimal(58000)),
        (Listed((bitcoin(),), Decimal(64000), Decimal(128000)), Decimal(64000)),
        (Listed((), stated=Decimal(64000)), None),
    ],
)
def test_a_list_of_another_worth_contradicts_the_total(listed: Listed, total: Decimal | None) -> None:
    """What the exchange says that is there must be in the list, and nothing else; no answer denies itself."""
    with pytest.raises(ContradictoryTotal):
        check_total(listed, total)


def test_without_a_total_the_list_is_unchecked() -> None:
    """Where the valuation failed, the verdict says so."""
    assert check_total(Listed(()), None) is TotalCheck.UNCHECKED


def test_a_list_without_prices_is_held_against_nothing() -> None:
    """Nobody is told that it agrees with a total that it was not compared with."""
    assert check_total(Listed((bitcoin(),)), Decimal(10**9)) is TotalCheck.UNCHECKED
    assert check_total(Listed((bitcoin(),), stated=Decimal(64000)), Decimal(1)) is TotalCheck.UNCHECKED


@given(code=CODES)
def test_a_wallet_that_was_not_read_has_no_balances(code: Code) -> None:
    """A fault is never an empty wallet, and always in words."""
    read = unread("trading", failure(code, "More."))

    assert read.balances is None
    assert read.as_of is None
    assert read.error == f"{FAULTS[code].words} More."
    if read.verdict is Verdict.NOT_PERMITTED:
        assert FAULTS[code].actor in (Actor.USER, Actor.NOBODY)
