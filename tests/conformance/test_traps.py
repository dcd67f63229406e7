"""Each trap of `traps` has its tests, and the traps that no other file is about are proven here."""

import ast
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.exchanges import EXCHANGES
from contracts.exchanges.okx import OKX
from contracts.faults import fault_of
from contracts.uncovered import Reason, UncoveredEntry
from gateway.http.worth_views import portfolio_view
from gateway.portfolio.grouping import groups_of, regrouped
from gateway.portfolio.holdings import summed
from gateway.portfolio.uncovered import not_covered
from gateway.portfolio.valuations import Portfolio, Valuation
from gateway.portfolio.values import AccountValues, values_of
from gateway.prices.book import Book
from gateway.rows.balances import Held, StoredBalance, StoredWallet
from gateway.rows.prices import Manual
from gateway.rows.uncovered import StoredPart
from sync_worker.exchanges.faults import Asked
from sync_worker.exchanges.okx.faults import okx_failure
from tests.conformance.traps import GENERAL, SUMS, SURPRISES, TRAPS
from tests.gateway.http.test_views import ACCOUNT
from tests.imports import ROOT

NOW = datetime(2026, 11, 29, 1, tzinfo=UTC)
BTC = StoredBalance("BTC", Decimal("0.5"), wallet="trading")
WORTHS = st.none() | st.decimals("-1e15", "1e15", places=18)
PARTS = st.lists(st.lists(WORTHS, max_size=3) | st.none(), max_size=4)


@pytest.fixture(name="facts")
def _facts() -> Path:
    folder = ROOT.parent / "shared" / "exchanges"
    if not folder.is_dir():
        pytest.skip("the facts about exchanges are not kept beside this checkout")
    return folder


@cache
def functions(path: Path) -> frozenset[str]:
    """Return the names of a module's tests."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.parse(path.read_text()).body if isinstance(node, kinds))


@pytest.mark.parametrize("trap", TRAPS)
def test_a_trap_has_its_tests(trap: str) -> None:
    """A test that is renamed or deleted takes its trap with it."""
    assert TRAPS[trap]
    for node in TRAPS[trap]:
        path, _, name = node.partition("::")
        assert name in functions(ROOT / path), node


def test_no_trap_of_the_facts_is_forgotten(facts: Path) -> None:
    """Each numbered surprise, and each sentence about what to add up, is in the table."""
    text = (facts / "okx.md").read_text()
    surprises = text.split("## 0.")[1].split("\n## ")[0].splitlines()
    sums = text.split("### 3.2")[1].split("\n### ")[0].splitlines()

    numbers = {line.partition(".")[0] for line in surprises if line[:1].isdigit()}
    assert {name.partition(" ")[0] for name in SURPRISES} == numbers
    assert len(SUMS) == sum(line.startswith("- ") for line in sums)
    assert len(TRAPS) == len(SURPRISES) + len(SUMS) + len(GENERAL)


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_every_read_is_polled_over_https(exchange: str) -> None:
    """No number comes from a channel, so no channel's host, silence or missing page can make one wrong."""
    entry = EXCHANGES[exchange]

    assert all(host.startswith("https://") for region in entry.regions for host in region.hosts.values())
    assert {read.method for read in entry.reads.values()} <= {"GET", "POST"}


@pytest.mark.parametrize("code", ["50111", "50113", "50105", "50119", "50101", "50114"])
def test_a_fault_of_the_key_is_never_retried(code: str) -> None:
    """A list of another client retries a wrong signature; too many failures would lock the key."""
    fault = okx_failure(code, "", Asked("account_balance"))

    assert not fault_of(fault.code).retryable


def portfolio(parts: list[StoredPart]) -> Portfolio:
    """Return the portfolio of an account that holds half a bitcoin, with these parts beside it."""
    wallets = [StoredWallet(key, NOW, None, None, None) for key in OKX.covered_wallets]
    book = Book([], {"BTC": Manual(Decimal("64000.01"), NOW)}, NOW)
    groups = groups_of({(OKX.key, BTC.asset)}, book.identity)
    worths = regrouped(OKX.key, values_of([BTC], book.at(OKX.key)), groups)
    values = AccountValues(ACCOUNT.id, summed(OKX, wallets, [BTC]), worths)
    named = {group.text: group for group in groups.values()}
    return Portfolio((Valuation(Held(ACCOUNT, wallets, [BTC], parts), values),), "USD", None, NOW, named)


@given(PARTS)
def test_what_is_uncovered_changes_no_total(found: list[list[Decimal | None] | None]) -> None:
    """Whatever it is worth: the total, the verdict, and every asset, account and wallet stay as they are."""
    parts = [
        StoredPart(
            f"part_{number}",
            "Loans",
            1,
            None if worths is None else NOW,
            "rate_limited" if worths is None else None,
            None if worths is None else [_entry(worth) for worth in worths],
        )
        for number, worths in enumerate(found)
    ]

    plain, named = portfolio_view(portfolio([])), portfolio_view(portfolio(parts))

    assert named.total == plain.total == "32000.005"
    for name in plain.__struct_fields__:
        if name != "uncovered":
            assert getattr(named, name) == getattr(plain, name)
    assert len(named.uncovered) == len(not_covered(OKX, (), parts))
    assert len(named.uncovered) == sum(1 if each is None else len(each) for each in found)


def _entry(worth: Decimal | None) -> UncoveredEntry:
    return UncoveredEntry("Loans", Reason.LOAN, worth)
