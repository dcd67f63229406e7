"""All that exists and is not read has a name, a worth or null, a reason and a step: in no total."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.exchanges.okx import OKX
from contracts.exchanges.types import Wallet
from contracts.faults import Code
from contracts.uncovered import (
    MAX_NAME,
    REASONS,
    AssetAmount,
    Name,
    Reason,
    Uncovered,
    UncoveredEntry,
    told,
)
from gateway.portfolio.uncovered import MORE_SUB_ACCOUNTS, NotCovered, found_parts, not_covered
from gateway.rows.balances import Detail, StoredWallet
from gateway.rows.sub_accounts import OWN_KEY, LeftOut, ListState
from gateway.rows.uncovered import StoredPart

NOW = datetime(2026, 11, 29, 1, tzinfo=UTC)
LIFE = (NOW - timedelta(seconds=30), NOW)
LOAN = UncoveredEntry("Flexible loans", Reason.LOAN, Decimal(60), (AssetAmount("BTC", Decimal(1)),), ())


def part(*entries: UncoveredEntry, **more: Any) -> Uncovered:
    """Return loans as a worker found them now."""
    plain = Uncovered("flexible_loans", "Flexible loans", NOW, entries)
    return msgspec.structs.replace(plain, **more)


def found(*parts: Uncovered) -> tuple[StoredPart, ...]:
    """Return parts as they are stored."""
    return found_parts(OKX, parts, 7, LIFE)


def listed(*parts: StoredPart, wallets: tuple[StoredWallet, ...] = ()) -> tuple[NotCovered, ...]:
    """Return what is said of parts and wallets."""
    return not_covered(OKX, wallets, parts)


def wallet(difference: str | None, name: str = "earn", code: str | None = None) -> StoredWallet:
    """Return a stored wallet whose list lacks some USD of the exchange's total."""
    detail = msgspec.to_builtins(Detail(3, incomplete=True, difference_usd=difference))
    return StoredWallet(name, NOW, None, code, None, 3, detail)


def test_a_sub_account_that_no_account_contains_is_named() -> None:
    """One that is connected with its own key counts there; a list that is not whole may lack others."""
    out = (LeftOut("1", "savings\u200b", "too_many"), LeftOut("2", "trading", OWN_KEY))
    whole = ListState(UUID(int=1), NOW, left_out=out)
    for listing, names in (
        (whole, ["savings"]),
        (msgspec.structs.replace(whole, more=True), ["savings", MORE_SUB_ACCOUNTS]),
        (msgspec.structs.replace(whole, unreadable=1, left_out=()), [MORE_SUB_ACCOUNTS]),
        (ListState(UUID(int=1)), []),
    ):
        said = not_covered(OKX, (), (), listing)
        assert [each.name for each in said] == names
        assert all((each.code, each.worth, each.as_of) == ("sub_account", None, NOW) for each in said)


def test_a_wallet_that_the_masters_key_does_not_reach_is_named() -> None:
    """A sub-account's earn; its key shows it."""
    unreached = StoredWallet("earn", None, None, Code.NEEDS_OWN_KEY, "words", 3)

    (said,) = listed(wallets=(unreached,))

    assert (said.wallet, said.code, said.worth) == ("earn", "needs_own_key", None)


def test_a_loan_is_named_with_its_worth_its_reason_and_a_step() -> None:
    """With the time at which it was found."""
    (said,) = listed(*found(part(LOAN)))

    assert (said.name, said.code, said.worth, said.as_of) == ("Flexible loans", "loan", Decimal(60), NOW)
    assert (said.words, said.step) == (REASONS[Reason.LOAN].words, REASONS[Reason.LOAN].step)
    assert said.holds == (AssetAmount("BTC", Decimal(1)),)


def test_a_wallet_of_the_catalogue_that_no_sync_reads_is_named() -> None:
    """Its worth is null, not zero."""
    copies = Wallet("copy", "Copy trading", covered=False)
    entry = msgspec.structs.replace(OKX, wallets=(*OKX.wallets, copies))

    (said,) = not_covered(entry, (), ())

    assert (said.name, said.wallet, said.code, said.worth) == ("Copy trading", "copy", "not_read", None)


def test_worth_that_only_the_valuation_knows_is_named() -> None:
    """Simple Earn Fixed: the exchange's total is above the list, by so many USD."""
    (said,) = listed(wallets=(wallet("310.5", code=Code.UNLISTED_WORTH), wallet("-5", "trading")))

    assert (said.name, said.wallet) == ("Earn: in no list", "earn")
    assert (said.code, said.worth, said.as_of) == ("unlisted_worth", Decimal("310.5"), NOW)


def test_worth_that_no_list_shows_stays_named_when_the_next_read_fails() -> None:
    """The wallet is stale then, and so is this."""
    (said,) = listed(wallets=(wallet("310.5", code=Code.RATE_LIMITED),))

    assert said.worth == Decimal("310.5")
    assert listed(wallets=(wallet(None),)) == ()


@pytest.mark.parametrize("before", [None, ()])
def test_a_part_that_could_not_be_looked_at_is_unknown(before: Any) -> None:
    """A failed look is no empty one, whatever was there before."""
    (said,) = listed(StoredPart("flexible_loans", "Flexible loans", 7, None, Code.PERMISSION_MISSING, before))

    assert (said.name, said.code, said.worth) == ("Flexible loans", "unreadable", None)
    assert said.words.endswith("The key does not have the right to read this.")


def test_what_was_found_before_a_failed_look_stays_with_its_time() -> None:
    """It says that the last look failed."""
    stored = msgspec.structs.replace(found(part(LOAN))[0], error_code=Code.RATE_LIMITED)

    (said,) = listed(stored)

    assert (said.worth, said.as_of) == (Decimal(60), NOW)
    assert said.words.startswith(REASONS[Reason.LOAN].words)
    assert len(said.words) > len(REASONS[Reason.LOAN].words)


def test_a_reason_of_a_later_version_has_general_words() -> None:
    """The code stays as it is, for programs."""
    (said,) = listed(*found(part(UncoveredEntry("Moon vault", "far_away"))))

    assert (said.code, said.words) == ("far_away", told(Reason.OTHER).words)


@pytest.mark.parametrize(
    ("name", "shown"),
    [("Fl\x00ex\u202eible\n", "Flexible"), ("\x07", "other"), (" Sub ", "Sub"), ("Ω", "Ω")],
)
def test_a_name_is_shown_without_characters_that_can_not_be_printed(name: str, shown: str) -> None:
    """A user of the exchange chose it, or a worker that is not ours any more."""
    (said,) = listed(*found(part(UncoveredEntry(name, Reason.OTHER))))

    assert said.name == shown


def test_a_name_is_short() -> None:
    """No message with a longer one is read."""
    assert msgspec.convert("x" * MAX_NAME, Name)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert("x" * (MAX_NAME + 1), Name)


@pytest.mark.parametrize("amount", [AssetAmount("BTC", Decimal(-1)), AssetAmount("a b", Decimal(1))])
def test_an_amount_that_no_honest_worker_sends_is_not_shown(amount: AssetAmount) -> None:
    """A worth does not depend on it."""
    (said,) = listed(*found(part(msgspec.structs.replace(LOAN, holds=(amount,)))))

    assert (said.holds, said.worth) == (None, Decimal(60))


@pytest.mark.parametrize("seconds", [-91, 61])
def test_a_look_outside_the_life_of_its_sync_changes_nothing(seconds: int) -> None:
    """Nor does a second one of the same part; a time that is slightly ahead counts as now."""
    away = part(LOAN, as_of=NOW + timedelta(seconds=seconds))

    assert found(away) == ()
    (first,) = found(part(LOAN, as_of=NOW + timedelta(seconds=59)), part())
    assert (first.as_of, first.entries) == (NOW, (LOAN,))


@given(st.lists(st.decimals("-1e15", "1e15", places=18), max_size=5))
def test_what_is_stored_is_what_was_found(worths: list[Decimal]) -> None:
    """No digit and no entry is lost between the message and the database."""
    entries = tuple(UncoveredEntry(f"Sub {number}", "other", each) for number, each in enumerate(worths))
    stored = msgspec.json.decode(msgspec.json.encode(found(part(*entries))), type=tuple[StoredPart, ...])

    assert [(each.name, each.worth) for each in listed(*stored)] == [
        (each.name, each.worth_usd) for each in entries
    ]
