"""The signature schemes of the exchanges: one file each beside this one, found by its name."""

from importlib import import_module
from pkgutil import iter_modules

from contracts.exchanges import EXCHANGES
from vault_broker.schemes.types import Scheme


def _schemes(module: str) -> list[Scheme]:
    found = vars(import_module(f"{__name__}.{module}")).values()
    return [each for each in found if isinstance(each, Scheme)]


SCHEMES: dict[str, Scheme] = {
    module.name: scheme for module in iter_modules(__path__) for scheme in _schemes(module.name)
}


def scheme_of(exchange: str) -> Scheme:
    """Return the scheme of an exchange."""
    return SCHEMES[EXCHANGES[exchange].scheme]
