"""Every fault has words, an actor and a next step, here and in the documentation."""

from pathlib import Path

import pytest

from contracts.faults import FAULTS, Code, PermanentError, TransientError, failure

TROUBLESHOOTING = Path(__file__).parents[2] / "docs" / "troubleshooting.md"


def test_every_code_has_a_fault() -> None:
    """The table is complete."""
    assert set(FAULTS) == set(Code)


@pytest.mark.parametrize("code", Code)
def test_every_code_is_explained(code: Code) -> None:
    """docs/troubleshooting.md has a row for the code with the actor."""
    rows = [line for line in TROUBLESHOOTING.read_text().splitlines() if line.startswith(f"| `{code}` ")]

    assert len(rows) == 1
    assert f"| {FAULTS[code].actor} |" in rows[0]


@pytest.mark.parametrize("code", Code)
def test_a_code_says_whether_another_try_can_help(code: Code) -> None:
    """The table determines the branch of the exception."""
    assert isinstance(failure(code), TransientError if FAULTS[code].retryable else PermanentError)
