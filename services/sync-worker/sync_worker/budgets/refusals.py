"""The budget that a refusal belongs to: an address's budget, or none for a limit of a user or key. Pure."""

from contracts.exchanges.types import Exchange
from contracts.faults import Code, Failure


def refused_budget(exchange: Exchange, read: str, fault: Failure) -> str | None:
    """Return the key of the budget of our address that refused a read, if any did.

    An exchange names no user where it refuses with a status alone (429, 418), so all calls count. With an
    error code it refuses a public read, which carries no key, by the limit of that read. It refuses a
    signed read by the limit of a user; then the worker delays that account
    alone. An entry names the codes that mean a limit of the address.
    """
    if fault.code != Code.RATE_LIMITED:
        return None
    whole = next((each.key for each in exchange.budgets if each.counts_all), None)
    own = next((key for key in exchange.costs.get(read, {}) if key != whole), None)
    if fault.exchange_code is None:
        return whole or own
    of_user = read in exchange.reads and fault.exchange_code not in exchange.address_codes
    return None if of_user else own or whole
