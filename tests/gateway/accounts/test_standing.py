"""Faults are described for the account's current state: in use, paused, without a key, or deleted."""

import itertools
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from contracts.exchanges.okx import OKX
from contracts.faults import Code, failure
from contracts.remedies import Situation, Standing
from contracts.syncs import Status
from contracts.values import Secret
from gateway.accounts.paused import account_paused, next_action
from gateway.accounts.submission import check_region, read_fields
from gateway.advice import Advice
from gateway.errors import Faulted, GatewayError
from gateway.http.replays import REPEATED, replayed_sync
from gateway.http.sync_views import sync_view
from gateway.rows.pauses import Pause, Stand
from gateway.rows.syncs import Sync

NOW = datetime(2026, 11, 24, tzinfo=UTC)
PAUSING = [Code.OVER_PRIVILEGED_KEY, Code.UNKNOWN_RIGHT, Code.OTHER_ACCOUNT]
# A key without the right to read, and a code of a later version.
REASONS = [*PAUSING, Code.PERMISSION_MISSING, "a_code_of_tomorrow"]
FOUND = [*Code, "a_code_of_tomorrow"]


def pause(reason: str, *, destroyed: bool = False) -> Pause:
    """Return a pause."""
    return Pause(uuid4(), uuid4(), reason, ("trade",), NOW, NOW if destroyed else None)


STANDS = {
    Standing.ACTIVE: Stand(),
    Standing.PAUSED: Stand(pause(Code.OVER_PRIVILEGED_KEY)),
    Standing.KEYLESS: Stand(pause(Code.OVER_PRIVILEGED_KEY, destroyed=True)),
    Standing.DELETED: Stand(deleted=True),
}


def synced(code: str) -> Sync:
    """Return a sync that failed with a code."""
    return Sync(
        id=uuid4(),
        number=1,
        user_id=uuid4(),
        account_id=uuid4(),
        exchange="okx",
        status=Status.FAILED,
        requested_at=NOW,
        deadline=NOW,
        publications=1,
        finished_at=NOW,
        holdings_count=None,
        error_code=code,
        error="words",
        wallets=(),
    )


def told(code: str, standing: Standing) -> str:
    """Return the remedy of a sync's fault."""
    text = sync_view(synced(code), (), STANDS[standing]).next_action
    assert text is not None
    return text


def test_a_standing_is_named() -> None:
    """It follows from the stored account."""
    assert {stand.standing: stand for stand in STANDS.values()} == STANDS


@pytest.mark.parametrize(("code", "standing"), list(itertools.product(FOUND, Standing)))
def test_a_sync_is_told_as_its_account_stands_now(code: str, standing: Standing) -> None:
    """The remedy at the sync's end may be outdated: the stored state of the account decides."""
    text = told(code, standing)

    assert ("The account is paused" in text) == (standing in (Standing.PAUSED, Standing.KEYLESS))
    assert ("it has no key" in text) == (standing is Standing.KEYLESS)
    if standing is Standing.DELETED:
        assert text.startswith("The account was deleted meanwhile. We delete its key and its balances.")
    if standing is not Standing.ACTIVE:
        assert "ync again" not in text
    if standing is Standing.KEYLESS:
        assert "pause ends by itself" not in text


@pytest.mark.parametrize("code", PAUSING)
def test_an_ended_pause_says_that_a_sync_helps(code: Code) -> None:
    """Even if the key of that sync was replaced, and the account was never paused."""
    assert told(code, Standing.ACTIVE) == "The account is not paused now, and we use its key: sync again."


@pytest.mark.parametrize("reason", REASONS)
def test_a_pause_has_true_words_whatever_its_reason(reason: str) -> None:
    """A key without the right to read, and a reason of a later version, are not mended by a sync."""
    text = next_action(reason, Advice(Situation.SYNC, OKX, None, ()), Stand(pause(reason)))

    assert text is not None
    assert text.startswith("The account is paused, and we do not sync with its key.")
    assert "with PUT /credentials" in text
    assert "ync again" not in text
    assert account_paused(pause(reason), "okx").detail.count("paused") <= text.count("paused")


@pytest.mark.parametrize("standing", Standing)
def test_a_repeated_answer_tells_what_helps_now(standing: Standing) -> None:
    """A new Idempotency-Key helps only if syncs are possible."""
    for code in (Code.SIGNATURE_REJECTED, Code.OVER_PRIVILEGED_KEY):
        stand = STANDS[standing]
        text = replayed_sync(sync_view(synced(code), (), stand), stand).next_action

        assert text is not None
        assert text.startswith(REPEATED)
        assert ("a new Idempotency-Key" in text) == (standing is Standing.ACTIVE)
        assert ("At that time" in text) == (standing is Standing.ACTIVE and code not in PAUSING)


@pytest.mark.parametrize(("code", "standing"), list(itertools.product(FOUND, Standing)))
def test_a_refused_replacement_tells_how_the_account_stands(code: str, standing: Standing) -> None:
    """The words promise no old key where there is none, or where it is not used."""
    detail = Faulted(failure(code), Advice(Situation.REPLACE, OKX, "eea", (), standing)).detail

    in_use = standing is Standing.ACTIVE and code != Code.ACCOUNT_DELETED
    assert ("The old key stays in use" in detail) == in_use


@pytest.mark.parametrize("standing", [Standing.PAUSED, Standing.KEYLESS])
def test_what_can_not_be_used_leaves_a_paused_account_paused(standing: Standing) -> None:
    """A refused paste or region changes nothing: the words state the account's actual state."""
    problems = []
    for region in ("tr", "mars"):
        with pytest.raises(GatewayError) as caught:
            check_region(OKX, region, Situation.REPLACE, standing)
        problems.append(caught.value)
    with pytest.raises(GatewayError) as caught:
        read_fields(OKX, {"passphrase": Secret("\u00fc")}, Situation.REPLACE, standing)

    for problem in (*problems, caught.value):
        assert "The account stays paused" in problem.detail
        assert "we did not store the new one" in problem.detail
