"""The exchanges that a user can connect: one file each beside this one, found by listing the folder."""

from importlib import import_module
from pkgutil import iter_modules

from contracts.exchanges.types import Exchange


def _entries(module: str) -> list[Exchange]:
    found = vars(import_module(f"{__name__}.{module}")).values()
    return [each for each in found if isinstance(each, Exchange)]


EXCHANGES: dict[str, Exchange] = {
    exchange.key: exchange
    for module in sorted(each.name for each in iter_modules(__path__))
    for exchange in _entries(module)
}
# The keys of those with public lists of prices.
PRICED: tuple[str, ...] = tuple(key for key, exchange in EXCHANGES.items() if exchange.price_reads)
