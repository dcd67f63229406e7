"""A fault says what happened to the key and what to do now, in words that fit its situation."""

import itertools
from pathlib import Path

import pytest

from contracts.faults import FAULTS, Code, fault_of
from contracts.remedies import DELETED, NOT_STORED, ROUTES, Remedy, Situation, Standing, became, written

TROUBLESHOOTING = Path(__file__).parents[2] / "docs" / "troubleshooting.md"
CONNECT, REPLACE, SYNC = Situation
EVERYWHERE = list(itertools.product(Code, Situation))
# No account exists and the key is deleted, or the old one stays: these words would be false there.
UNTRUE: dict[Situation, tuple[str, ...]] = {
    CONNECT: (
        "next sync",
        "sync again",
        "put /credentials",
        "are safe",
        "nothing to do",
        "we keep",
        "paused",
    ),
    REPLACE: ("next sync", "sync again", "are safe", "nothing to do", "we keep", "paused", "no account was"),
    SYNC: ("are safe", "nothing to do", "no account was", "the old key", "post /accounts again"),
}
# The account was deleted meanwhile: there is no old key, and a key is submitted for a new account.
GONE = Code.ACCOUNT_DELETED
PAUSED = {Code.OVER_PRIVILEGED_KEY, Code.UNKNOWN_RIGHT, Code.OTHER_ACCOUNT}


@pytest.mark.parametrize(("code", "situation"), EVERYWHERE)
def test_no_words_are_untrue_where_they_are_met(code: Code, situation: Situation) -> None:
    """The words fit the situation: at a connect there is no account and no next sync."""
    text = f"{FAULTS[code].words} {FAULTS[code].next_action(situation)}".lower()

    assert not [words for words in UNTRUE[situation] if words in text]


@pytest.mark.parametrize(("code", "situation"), EVERYWHERE)
def test_every_fault_says_what_happened_to_the_key_and_what_to_do(code: Code, situation: Situation) -> None:
    """The words are whole sentences: first the state of the submitted key, then a route."""
    text = FAULTS[code].next_action(situation)

    assert text.endswith(".")
    assert "  " not in text
    assert "{" not in text
    if situation is SYNC:
        assert " key" in text
    elif code is not GONE:
        assert text.startswith(DELETED[situation])
        assert ROUTES[situation] in text


@pytest.mark.parametrize("code", sorted({*Code} - {GONE}))
def test_a_replaced_key_is_not_submitted_as_an_account(code: Code) -> None:
    """PUT /credentials repairs an existing account; POST /accounts would refuse it as a duplicate."""
    assert "POST /accounts" not in FAULTS[code].next_action(REPLACE)


@pytest.mark.parametrize("code", sorted(PAUSED))
def test_a_paused_account_is_told_so(code: Code) -> None:
    """At a sync these codes mean that the key is not used, that another one helps, and how the pause ends."""
    text = FAULTS[code].next_action(SYNC, standing=Standing.PAUSED)

    assert "The account is paused, and we do not sync with its key." in text
    assert "with PUT /credentials" in text
    assert "the pause ends by itself" in text


@pytest.mark.parametrize("code", sorted({*Code} - {GONE}))
def test_no_fault_of_a_paused_account_is_mended_by_a_sync(code: Code) -> None:
    """A sync is refused until the pause ends, whatever fault the last one had."""
    text = FAULTS[code].next_action(SYNC, standing=Standing.PAUSED)

    assert text.startswith("The account is paused, and we do not sync with its key.")
    assert "ync again" not in text
    assert "PUT /credentials" in text


@pytest.mark.parametrize("code", sorted(PAUSED))
def test_a_pause_that_ended_is_not_said_to_last(code: Code) -> None:
    """The user may read the sync that paused the account later, when its key is used again."""
    text = FAULTS[code].next_action(SYNC)

    assert text == "The account is not paused now, and we use its key: sync again."


@pytest.mark.parametrize("code", sorted({*Code} - {GONE}))
@pytest.mark.parametrize("standing", sorted({*Standing} - {Standing.ACTIVE}))
def test_a_refused_replacement_tells_how_the_account_stands(code: Code, standing: Standing) -> None:
    """No old key stays in use if the account is paused, has no key or was deleted."""
    text = FAULTS[code].next_action(REPLACE, standing=standing)

    assert "stays in use" not in text
    assert text.startswith(became(REPLACE, standing))
    assert ("stays paused" in text) == (standing is not Standing.DELETED)
    assert ("with POST /accounts" in text) == (standing is Standing.DELETED)
    assert ("with PUT /credentials" in text) == (standing is not Standing.DELETED)


@pytest.mark.parametrize("standing", Standing)
def test_what_is_refused_before_it_is_stored_is_not_said_to_be_deleted(standing: Standing) -> None:
    """Whatever the account's state."""
    assert "we did not store" in became(REPLACE, standing, stored=False)
    assert "we delete" not in became(REPLACE, standing, stored=False)


@pytest.mark.parametrize("standing", sorted({*Standing} - {Standing.ACTIVE}))
def test_every_standing_is_explained(standing: Standing) -> None:
    """docs/troubleshooting.md has the words of each that differ from those of an account in use."""
    (row,) = [line for line in TROUBLESHOOTING.read_text().splitlines() if line.startswith(f"| {standing} |")]

    assert f"| {became(REPLACE, standing)} |" in row
    if standing is not Standing.KEYLESS:
        assert f"| {written(Remedy.OTHER_KEY, SYNC, '*first*', '*else*', standing)} |" in row


@pytest.mark.parametrize("situation", Situation)
def test_a_code_of_a_later_version_has_the_words_of_an_internal_error(situation: Situation) -> None:
    """The user reads a remedy nevertheless."""
    expected = FAULTS[Code.INTERNAL_ERROR].next_action(situation)

    assert fault_of("a_code_of_tomorrow").next_action(situation) == expected


@pytest.mark.parametrize(("remedy", "situation"), list(itertools.product(Remedy, Situation)))
def test_every_remedy_is_explained(remedy: Remedy, situation: Situation) -> None:
    """docs/troubleshooting.md has the words of each remedy in each situation."""
    rows = [line for line in TROUBLESHOOTING.read_text().splitlines() if line.startswith(f"| {remedy} |")]

    assert len(rows) == 1
    assert f"| {written(remedy, situation, '*first*', '*else*')} |" in rows[0]


@pytest.mark.parametrize("code", Code)
def test_every_code_is_explained_in_its_own_words(code: Code) -> None:
    """The row of a code has its words, the actor, the first step, the remedy and the last resort."""
    fault = FAULTS[code]
    (row,) = [line for line in TROUBLESHOOTING.read_text().splitlines() if line.startswith(f"| `{code}` ")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]

    retried = "yes" if fault.retryable else "no"
    said = [fault.words, fault.actor, fault.step, fault.remedy, fault.lasting, retried]
    assert cells == [f"`{code}`", *said]


@pytest.mark.parametrize(
    ("detail", "told"),
    [
        ("", "Something of ours failed."),
        ("the vault does not answer in time", "Something of ours failed. The vault does not answer in time."),
        ("(OKX 50113)", "Something of ours failed. (OKX 50113)"),
        ("A sentence.", "Something of ours failed. A sentence."),
    ],
)
def test_a_detail_is_told_as_a_sentence(detail: str, told: str) -> None:
    """Users read sentences, whatever detail a service sends in its refusal."""
    assert FAULTS[Code.INTERNAL_ERROR].told(detail) == told


def test_what_was_not_stored_is_not_said_to_be_deleted() -> None:
    """Wherever a key is submitted, there are words for a refusal before it is stored."""
    assert set(NOT_STORED) == set(DELETED) == {CONNECT, REPLACE}
    assert not [text for text in NOT_STORED.values() if "delete" in text]
