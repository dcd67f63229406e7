"""The exchanges that the worker reads: each is one folder beside this file, which is found by being there."""

from importlib import import_module
from pkgutil import iter_modules

from sync_worker.exchanges.signed import Parts
from sync_worker.exchanges.types import Connector


def connectors(parts: Parts) -> dict[str, Connector]:
    """Make the connector of every exchange, by its key."""
    folders = [module.name for module in iter_modules(__path__) if module.ispkg]
    made = [import_module(f"{__name__}.{folder}").connect(parts) for folder in folders]
    return {connector.exchange.key: connector for connector in made}
