"""The exchanges that the worker reads: one folder each beside this file, found by listing."""

from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from chassis.settings import Environment
from sync_worker.exchanges.signed import Parts
from sync_worker.exchanges.types import Connector

Connect = Callable[[Parts], Connector]

_FOLDERS = [import_module(f"{__name__}.{each.name}") for each in iter_modules(__path__) if each.ispkg]
# The optional settings of single exchanges, which `load` reads.
OPTIONAL = tuple(name for each in _FOLDERS if hasattr(each, "settings") for name in each.settings.OPTIONAL)


def load(environ: Environment) -> tuple[Connect, ...]:
    """Return the functions that make the connectors, with their own settings; raises BadSetting."""
    return tuple(_configured(folder, environ) for folder in _FOLDERS)


def connectors(connects: Sequence[Connect], parts: Parts) -> dict[str, Connector]:
    """Return the connectors of all exchanges by their keys."""
    made = [connect(parts) for connect in connects]
    return {connector.exchange.key: connector for connector in made}


def _configured(folder: Any, environ: Environment) -> Connect:
    if not hasattr(folder, "settings"):
        connect: Connect = folder.connect
        return connect
    return partial(folder.connect, own=folder.settings.load(environ))
