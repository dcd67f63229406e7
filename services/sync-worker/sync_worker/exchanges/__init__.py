"""The exchanges that the worker reads: one folder each beside this file, found by listing."""

from importlib import import_module
from pkgutil import iter_modules

from sync_worker.exchanges.signed import Parts
from sync_worker.exchanges.types import Connector


def connectors(parts: Parts) -> dict[str, Connector]:
    """Return the connectors of all exchanges by their keys."""
    folders = [module.name for module in iter_modules(__path__) if module.ispkg]
    made = [import_module(f"{__name__}.{folder}").connect(parts) for folder in folders]
    return {connector.exchange.key: connector for connector in made}
