"""The signature schemes of the exchanges: one file each beside this one, found by its name.

A file has one scheme for all kinds of keys, or one for each kind.
"""

from importlib import import_module
from pkgutil import iter_modules

from contracts.exchanges import EXCHANGES
from vault_broker.schemes.types import Scheme


def _schemes(module: str) -> list[Scheme]:
    found = vars(import_module(f"{__name__}.{module}")).values()
    return [each for each in found if isinstance(each, Scheme)]


SCHEMES: dict[tuple[str, str], Scheme] = {
    (module.name, scheme.kind): scheme
    for module in iter_modules(__path__)
    for scheme in _schemes(module.name)
}


def scheme_of(exchange: str, kind: str = "") -> Scheme:
    """Return the scheme of an exchange for a kind of key; the empty text stands for its first typed one."""
    entry = EXCHANGES[exchange]
    key = kind or entry.typed[0].key
    return SCHEMES.get((entry.scheme, key)) or SCHEMES[entry.scheme, ""]


def schemes_of(exchange: str) -> tuple[Scheme, ...]:
    """Return the schemes of all kinds of keys of an exchange."""
    return tuple(scheme_of(exchange, kind.key) for kind in EXCHANGES[exchange].credential_kinds)
