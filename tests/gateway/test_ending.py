"""What an outcome means for its sync."""

from uuid import uuid4

from contracts.faults import Code
from contracts.syncs import Status, SyncFailed, Verdict
from gateway.outcomes import ending, wallet_reads


def test_a_sync_that_failed_as_a_whole_failed_for_every_covered_wallet() -> None:
    """A settled sync marks each covered wallet with its code, so that what is stored becomes stale."""
    outcome = SyncFailed(uuid4(), uuid4(), "okx", Code.DEADLINE_EXCEEDED, "late")

    assert [(read.wallet, read.verdict, read.error_code) for read in wallet_reads(outcome)] == [
        ("trading", Verdict.FAILED, Code.DEADLINE_EXCEEDED),
        ("funding", Verdict.FAILED, Code.DEADLINE_EXCEEDED),
        ("earn", Verdict.NOT_COVERED, None),
    ]


def test_a_failed_sync_counts_no_holdings() -> None:
    """The count of a sync that read nothing is unknown."""
    end = ending(SyncFailed(uuid4(), uuid4(), "okx", Code.KEY_UNKNOWN, "unknown"))

    assert (end.status, end.holdings_count, end.error_code) == (Status.FAILED, None, Code.KEY_UNKNOWN)
