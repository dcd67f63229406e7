"""Looking up the worth of a user's accounts: balances and prices as of one moment."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from contracts.exchanges import EXCHANGES
from contracts.prices import ECB, USD
from gateway.errors import InvalidInput, NotFound
from gateway.portfolio.grouping import Group, Groups, groups_of, regrouped
from gateway.portfolio.holdings import summed
from gateway.portfolio.rates import Rate, rates_of
from gateway.portfolio.valuations import Portfolio, Valuation
from gateway.portfolio.values import AccountValues, values_of
from gateway.prices.book import Book
from gateway.prices.readings import Reading, Readings
from gateway.rows.balances import Held
from gateway.rows.restores import Restore
from gateway.store.inventories import Inventory, find_inventory
from gateway.store.pool import Pool

# The schedule reads each account at least once a day, unless it is off.
OLD = timedelta(days=2)
LENGTH = 3
NOT_A_CURRENCY = "A currency has a code of three letters, such as EUR."


class Grouped(msgspec.Struct, frozen=True):
    """Accounts with their values, and the assets by their texts."""

    accounts: tuple[Valuation, ...]
    groups: dict[str, Group]


async def find_portfolio(
    pool: Pool, readings: Readings, user_id: UUID, restored: Restore | None, currency: str = USD
) -> Portfolio:
    """Find the accounts of a user with values; raises InvalidInput for an unknown currency.

    A thread values the balances, because a user may have so many that other requests would wait.
    """
    currency = currency.upper()
    if len(currency) != LENGTH or not (currency.isascii() and currency.isalpha()):
        raise _unknown(NOT_A_CURRENCY)
    async with pool.transaction() as connection:  # it may take longer than `single` waits
        inventory = await find_inventory(connection, user_id)
    last = await readings.of(inventory.standings)
    book = Book(last, inventory.manual, inventory.now, inventory.quoted, inventory.identity)
    rate = _rate(last, currency)
    found = await asyncio.to_thread(_all_valued, inventory, book, restored)
    return Portfolio(found.accounts, currency, rate, inventory.now, found.groups)


async def find_priced(pool: Pool, readings: Readings, user_id: UUID, account_id: UUID) -> tuple[Held, Book]:
    """Find an account of a user with its balances, and the prices for them; raises NotFound."""
    inventory = await pool.single(lambda connection: find_inventory(connection, user_id, account_id))
    if not inventory.held:
        raise NotFound
    last = await readings.of(inventory.standings)
    book = Book(last, inventory.manual, inventory.now, inventory.quoted, inventory.identity)
    return inventory.held[0], book


def _all_valued(inventory: Inventory, book: Book, restored: Restore | None) -> Grouped:
    names = {(held.account.exchange, each.asset) for held in inventory.held for each in held.balances}
    groups = groups_of(names, book.identity)
    valued = tuple(_valued(held, book, groups, restored, inventory.now) for held in inventory.held)
    return Grouped(valued, {group.text: group for group in groups.values()})


def _valued(held: Held, book: Book, groups: Groups, restored: Restore | None, now: datetime) -> Valuation:
    older = frozenset(each.wallet for each in held.wallets if restored and restored.older(each.as_of))
    old = frozenset(each.wallet for each in held.wallets if each.as_of and now - each.as_of > OLD)
    holdings = summed(EXCHANGES[held.account.exchange], held.wallets, held.balances)
    exchange = held.account.exchange
    parts = regrouped(exchange, values_of(held.balances, book.at(exchange)), groups)
    return Valuation(held, AccountValues(held.account.id, holdings, parts, older, old))


def _rate(last: list[Reading], currency: str) -> Rate | None:
    """Return the rate of a currency; raises InvalidInput for one that the bank does not list."""
    rates = next((rates_of(each.read) for each in last if each.read.exchange == ECB), {})
    if currency == USD or not rates:
        return None
    if currency not in rates:
        raise _unknown(f"We know no rate of this currency. We know USD and {', '.join(sorted(rates))}.")
    return rates[currency]


def _unknown(words: str) -> InvalidInput:
    return InvalidInput(words, errors=[{"field": "currency", "message": words}])
