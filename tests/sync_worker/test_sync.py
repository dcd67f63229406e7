"""From the read wallets to verdicts, further tries and the outcome."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.closures import MAINTENANCE
from contracts.exchanges.okx import OKX
from contracts.faults import FAULTS, Actor, Code, failure
from contracts.syncs import (
    MAX_OUTCOME_BYTES,
    Status,
    SyncCompleted,
    SyncFailed,
    UnreadableRow,
    Verdict,
    WalletRead,
)
from contracts.uncovered import Uncovered
from contracts.values import Balance
from contracts.wire.envelope import encode
from contracts.wire.topology import MAX_DELIVER
from sync_worker.errors import ClocksDisagree, ExchangeClosed, HeldBack
from sync_worker.outages import MAX_MESSAGES, Outages
from sync_worker.sync import (
    MAX_DELAY,
    MAX_DELIVERIES,
    MAX_RETRY_AFTER,
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
    waits_for,
    waits_seconds,
)
from sync_worker.verdicts import unread
from tests.sync_worker.wording import NOW, a_request, complete, failed

CODES = st.sampled_from(list(Code))


def reading(trading: Code | None, funding: Code | None = None, retry_after: float | None = None) -> Reading:
    """Return a reading whose wallets failed with these codes, or succeeded; earn was not due."""
    faults = {"trading": trading, "funding": funding}
    wallets = (failed(name, code) if code else complete(name) for name, code in faults.items())
    return Reading((*wallets, WalletRead("earn", Verdict.NOT_DUE)), retry_after)


def test_all_wallets_read_is_the_last_word() -> None:
    """Without a failure there is no other try."""
    assert next_try(reading(None), Attempt(1), 120, 1.0) is None


@pytest.mark.parametrize(("attempt", "delay"), [(1, 2.0), (2, 4.0), (3, 8.0), (4, None), (5, None)])
def test_a_passing_fault_is_tried_four_times(attempt: int, delay: float | None) -> None:
    """Each wait is twice the one before."""
    assert next_try(reading(None, Code.EXCHANGE_UNAVAILABLE), Attempt(attempt), 120, 1.0) == delay


def test_the_wait_that_the_exchange_asks_for_is_kept() -> None:
    """No try starts earlier than Retry-After or our own rule allows."""
    assert next_try(reading(Code.RATE_LIMITED, retry_after=10.0), Attempt(1), 120, 1.2) == 12.0
    assert next_try(reading(Code.RATE_LIMITED, retry_after=10.0), Attempt(1), 120, 0.8) == 10.0
    assert next_try(reading(Code.RATE_LIMITED, retry_after=1.0), Attempt(3), 120, 1.0) == 8.0


def test_an_exchange_that_is_closed_beyond_the_deadline_names_the_time_of_the_next_sync() -> None:
    """A day at most; another fault names none, and neither does a sync that read something."""
    for code in (Code.RATE_LIMITED, Code.EXCHANGE_UNAVAILABLE):
        said = outcome(a_request(), OKX, reading(code, code, retry_after=600.0), 1)
        assert isinstance(said, SyncFailed)
        assert (said.error_code, said.retry_after) == (code, 600.0)
    far = outcome(a_request(), OKX, reading(Code.RATE_LIMITED, Code.RATE_LIMITED, retry_after=1e6), 1)
    other = outcome(a_request(), OKX, reading(Code.EXCHANGE_TIMEOUT, Code.EXCHANGE_TIMEOUT, 600.0), 1)
    assert isinstance(far, SyncFailed)
    assert isinstance(other, SyncFailed)
    assert (far.retry_after, other.retry_after) == (MAX_RETRY_AFTER, None)
    assert isinstance(outcome(a_request(), OKX, reading(None, Code.RATE_LIMITED, 600.0), 1), SyncCompleted)


@pytest.mark.parametrize(
    ("codes", "cause"),
    [
        ((Code.EXCHANGE_TIMEOUT, Code.RATE_LIMITED), Code.RATE_LIMITED),
        ((None, Code.EXCHANGE_UNAVAILABLE), Code.EXCHANGE_UNAVAILABLE),
        ((Code.VAULT_UNAVAILABLE, Code.RATE_LIMITED), None),
        ((None, Code.INTERNAL_ERROR), None),
    ],
)
def test_a_sync_waits_for_its_exchange_only_if_that_is_the_cause(
    codes: tuple[Code | None, Code], cause: Code | None
) -> None:
    """Not for a part of ours, and not for a fault that no try mends."""
    assert waits_for(reading(*codes)) == cause


def test_a_try_that_does_not_fit_before_the_deadline_is_not_made() -> None:
    """The outcome is published before the deadline."""
    limited = reading(None, Code.RATE_LIMITED, retry_after=10.0)

    assert next_try(limited, Attempt(1), 12.0, 1.0) == 10.0
    assert next_try(limited, Attempt(1), 11.9, 1.0) is None
    assert next_try(reading(None, Code.RATE_LIMITED, retry_after=3600.0), Attempt(1), 7200, 1.0) is None


@pytest.mark.parametrize("code", sorted(OWN_PARTS))
def test_our_own_parts_are_waited_for_until_the_deadline(code: Code) -> None:
    """A sealed vault does not use up the tries; the sync fails with that code before the deadline."""
    out = nothing_read(OKX, failure(code))

    assert next_try(out, Attempt(MAX_TRIES + 9), 60, 0.8) == pytest.approx(5.0)
    assert next_try(out, Attempt(MAX_TRIES + 9), 60, 1.2) == pytest.approx(7.5)
    assert next_try(out, Attempt(MAX_TRIES + 9), 7, 1.0) is None
    said = outcome(a_request(), OKX, out, 13)
    assert isinstance(said, SyncFailed)
    assert said.error_code == code


def test_a_try_that_we_held_back_uses_up_no_try_at_the_exchange() -> None:
    """It comes back when the budget may suffice, until the deadline; the exchange's own refusal counts."""
    held, refused = nothing_read(OKX, HeldBack(12.0)), nothing_read(OKX, failure(Code.RATE_LIMITED))

    assert next_try(held, Attempt(MAX_TRIES + 9), 120, 1.0) == 12.0
    assert next_try(held, Attempt(MAX_TRIES + 9), 13, 1.0) is None
    assert next_try(refused, Attempt(MAX_TRIES), 120, 1.0) is None


def test_a_sync_waits_for_a_closed_exchange_as_long_as_its_deadline_allows() -> None:
    """It comes back a minute at a time, shows the whole wait, and otherwise fails with that time."""
    shut = nothing_read(OKX, ExchangeClosed(MAINTENANCE, 100.0))

    assert next_try(shut, Attempt(MAX_TRIES + 9), 103, 0.8) == MAX_DELAY
    assert next_try(shut, Attempt(1), 103, 1.2) is None
    assert next_try(shut, Attempt(1), 101, 1.0) is None
    assert (waits_for(shut), waits_seconds(shut, MAX_DELAY)) == (Code.EXCHANGE_UNAVAILABLE, 100.0)
    assert next_try(nothing_read(OKX, ExchangeClosed(MAINTENANCE, 40.0)), Attempt(1), 103, 1.2) == 45.0
    said = outcome(a_request(), OKX, shut, 1)
    assert isinstance(said, SyncFailed)
    assert (said.error_code, said.retry_after) == (Code.EXCHANGE_UNAVAILABLE, 100.0)
    held = nothing_read(OKX, HeldBack(12.0))
    assert (waits_for(held), waits_seconds(held, 12.0)) == (Code.RATE_LIMITED, 12.0)


def test_our_own_clocks_are_waited_for_like_parts_that_are_away() -> None:
    """Until the deadline, and then the outcome says so; a time refused by the exchange uses up its tries."""
    ours = nothing_read(OKX, ClocksDisagree("the broker's clock and the vault's disagree"))
    theirs = nothing_read(OKX, failure(Code.CLOCK_DISAGREES))

    assert next_try(ours, Attempt(MAX_TRIES + 9), 60, 1.0) == OWN_PARTS_DELAY
    assert next_try(ours, Attempt(MAX_TRIES + 9), 7, 1.0) is None
    assert next_try(theirs, Attempt(MAX_TRIES), 60, 1.0) is None
    said = outcome(a_request(), OKX, ours, 13)
    assert isinstance(said, SyncFailed)
    assert said.error_code == Code.CLOCK_DISAGREES


def test_an_outage_of_ours_uses_up_no_try_at_the_exchange() -> None:
    """After nine returns for a sealed vault, the waits for a fault of the exchange begin at the first."""
    limited = reading(None, Code.RATE_LIMITED)

    assert next_try(limited, Attempt(10, outages=9), 120, 1.0) == 2.0
    assert next_try(limited, Attempt(13, outages=9), 120, 1.0) is None
    assert next_try(limited, Attempt(10), 120, 1.0) is None
    assert next_try(limited, Attempt(1, outages=9), 120, 1.0) == 2.0


@given(deadline=st.floats(10, 2000))
def test_an_outage_of_ours_is_waited_for_with_the_deliveries_there_are(deadline: float) -> None:
    """However far the deadline, the server does not reach max-deliver before it."""
    out, left, delivery = nothing_read(OKX, failure(Code.VAULT_UNAVAILABLE)), deadline, 1

    while (delay := next_try(out, Attempt(delivery, delivery - 1), left, 1.0)) is not None:
        left, delivery = left - delay, delivery + 1

    assert delivery < MAX_DELIVER
    assert left <= max(OWN_PARTS_DELAY, deadline / MAX_DELIVERIES) + TRY_SECONDS


@given(deadline=st.floats(120, 86400), jitter=st.floats(0.8, 1.2), delivery=st.integers(1, 2))
def test_a_far_deadline_does_not_make_an_outage_the_last_word(
    deadline: float, jitter: float, delivery: int
) -> None:
    """The bus redelivers a message within a minute, which is the longest wait, and another try follows."""
    out = nothing_read(OKX, failure(Code.SIGNING_UNAVAILABLE))

    delay = next_try(out, Attempt(delivery, delivery - 1), deadline, jitter)

    assert delay is not None
    assert 0.8 * OWN_PARTS_DELAY <= delay <= MAX_DELAY


def test_the_deliveries_that_are_left_are_not_overdrawn() -> None:
    """The last delivery publishes the outcome, before the server stops delivering the message."""
    out = nothing_read(OKX, failure(Code.VAULT_UNAVAILABLE))

    assert next_try(out, Attempt(MAX_DELIVERIES - 1, MAX_DELIVERIES - 2), 86400, 1.2) == MAX_DELAY
    assert next_try(out, Attempt(MAX_DELIVERIES, MAX_DELIVERIES - 1), 86400, 1.0) is None


def test_outages_are_counted_for_so_many_messages_only() -> None:
    """The memory is bounded; the message counted longest ago is forgotten first."""
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
    """A wrong key stays wrong while the other wallet is retried."""
    assert next_try(reading(Code.KEY_UNKNOWN, Code.EXCHANGE_TIMEOUT), Attempt(1), 120, 1.0) is None


@pytest.mark.parametrize("code", sorted(OF_ONE_WALLET))
def test_a_restriction_of_one_wallet_does_not_give_up_the_other(code: Code) -> None:
    """If the account or the key is not refused as such, passing faults are retried."""
    assert next_try(reading(Code.RATE_LIMITED, code), Attempt(1), 120, 1.0) == 2.0
    assert next_try(reading(None, code), Attempt(1), 120, 1.0) is None


def test_a_wallet_that_may_not_be_read_is_not_tried_again() -> None:
    """not_permitted is final, and makes the sync partial."""
    partly = reading(None, Code.PERMISSION_MISSING)

    assert next_try(partly, Attempt(1), 120, 1.0) is None
    said = outcome(a_request(), OKX, partly, 1)
    assert said.status == Status.PARTIAL
    assert said.wallets[1].verdict is Verdict.NOT_PERMITTED
    assert said.wallets[1].balances is None


@given(trading=CODES, funding=st.none() | CODES, attempt=st.integers(1, 60), left=st.floats(-10, 200))
def test_every_try_fits_and_tries_end(trading: Code, funding: Code | None, attempt: int, left: float) -> None:
    """A try starts before the deadline; there is none after it."""
    delay = next_try(reading(trading, funding), Attempt(attempt), left, 1.2)

    if delay is not None:
        assert 0 < delay < left


@given(trading=st.none() | CODES, funding=st.none() | CODES)
def test_every_reading_has_an_outcome(trading: Code | None, funding: Code | None) -> None:
    """For any faults, the outcome names each wallet of the catalogue, in its order."""
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
    """First faults for the user, then for the operator, then passing ones; else the first wallet's."""
    said = outcome(a_request(), OKX, reading(trading, funding), 1)

    assert isinstance(said, SyncFailed)
    assert said.error_code is told
    assert said.error.startswith(FAULTS[told].words)


def test_a_sync_that_failed_as_a_whole_says_nothing_of_parts_that_it_did_not_see() -> None:
    """The wallets say what is wrong; a part that was looked at all the same is told."""
    unread = Uncovered("flexible_loans", "Flexible loans", error_code=Code.KEY_UNKNOWN)
    seen = Uncovered("vaults", "Vaults", NOW, ())
    wallets = tuple(failed(wallet, Code.KEY_UNKNOWN) for wallet in OKX.covered_wallets)
    partly = (complete("trading"), *wallets[1:])

    whole = outcome(a_request(), OKX, Reading(wallets, uncovered=(unread, seen)), 1)
    some = outcome(a_request(), OKX, Reading(partly, uncovered=(unread, seen)), 1)

    assert whole.uncovered == (seen,)
    assert some.uncovered == (unread, seen)


def test_an_outcome_too_large_to_send_says_so() -> None:
    """It is not lost, and no part of it looks like the whole."""
    many = tuple(Balance(f"COIN{number:09}", Decimal("0.000000000000000001")) for number in range(20_000))

    said = outcome(a_request(), OKX, Reading((complete("trading", *many), complete("funding"))), 1)

    assert isinstance(said, SyncFailed)
    assert said.error_code == Code.TOO_MANY_ASSETS
    assert all(read.balances is None for read in said.wallets)
    assert len(encode(said)) < 4096


def incomplete(wallet: str, *balances: Balance) -> WalletRead:
    """Return the verdict on a wallet with an unreadable row."""
    row = UnreadableRow("the currency has no name")
    return WalletRead(
        wallet, Verdict.INCOMPLETE, NOW, balances, None, Code.UNREADABLE_ROWS, "One row.", unreadable=(row,)
    )


def test_an_incomplete_wallet_too_large_to_send_says_so() -> None:
    """The limit is that of every read wallet; the other one keeps its own words."""
    many = tuple(Balance(f"COIN{number:09}", Decimal("0.000000000000000001")) for number in range(20_000))
    limited = failed("funding", Code.RATE_LIMITED)

    said = outcome(a_request(), OKX, Reading((incomplete("trading", *many), limited)), 1)

    assert isinstance(said, SyncFailed)
    assert [read.error_code for read in said.wallets[:2]] == [Code.TOO_MANY_ASSETS, Code.RATE_LIMITED]
    assert all(read.balances is None for read in said.wallets)
    assert len(encode(said)) < 4096


def test_an_incomplete_wallet_is_the_last_word() -> None:
    """Nothing failed, so the same response would follow. A failure beside it is retried."""
    read = incomplete("trading", Balance("BTC", Decimal(1)))

    assert next_try(Reading((read, complete("funding"))), Attempt(1), 120, 1.0) is None
    assert next_try(Reading((read, failed("funding", Code.RATE_LIMITED))), Attempt(1), 120, 1.0) == 2.0
    said = outcome(a_request(), OKX, Reading((read, complete("funding"))), 1)
    assert said.status == Status.PARTIAL
    assert said.wallets[0] == read


def test_a_covered_wallet_that_a_connector_forgets_has_failed() -> None:
    """It never looks as if it were not covered."""
    said = outcome(a_request(), OKX, Reading((complete("trading"), complete("funding"))), 1)

    assert (said.status, said.wallets[2].error_code) == (Status.PARTIAL, Code.INTERNAL_ERROR)


def test_a_code_that_is_not_listed_is_tried_again() -> None:
    """It is treated as passing."""
    assert next_try(reading(Code.EXCHANGE_ERROR), Attempt(1), 120, 1.0) == 2.0


def test_thousands_of_assets_can_be_sent() -> None:
    """The limit is that of the stream, one mebibyte, far above any ordinary account."""
    many = tuple(Balance(f"COIN{number:05}", Decimal(number)) for number in range(8_000))

    reading = Reading((complete("trading", *many), complete("funding"), complete("earn")))
    said = outcome(a_request(), OKX, reading, 1)

    assert said.status == Status.COMPLETED
    assert len(encode(said)) < MAX_OUTCOME_BYTES


@given(code=CODES)
def test_a_wallet_that_was_not_read_has_no_balances(code: Code) -> None:
    """A fault is never an empty wallet, and always has words."""
    fault = failure(code, "More.", exchange_code="50011", endpoint="account_balance")

    read = unread("trading", fault)

    assert read.balances is None
    assert read.as_of is None
    assert read.error == f"{FAULTS[code].words} More."
    assert (read.exchange_code, read.endpoint) == ("50011", "account_balance")
    if read.verdict is Verdict.NOT_PERMITTED:
        assert FAULTS[code].actor in (Actor.USER, Actor.NOBODY)
