"""Simulated exchanges on loopback, with the checks of the real ones; each has a folder beside this file."""

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import msgspec

from deploy.simulator.bank import Bank
from deploy.simulator.types import Exchange


def simulated(files: list[Path], *, strict: bool) -> list[Exchange]:
    """Create every exchange, with its default accounts or those of a file for it, and the bank.

    Raises OSError and msgspec.DecodeError for an unreadable file.
    """
    folders = sorted((module.name for module in iter_modules(__path__) if module.ispkg), key=_place)
    told = {_named(file): file for file in files}
    if unknown := told.keys() - set(folders):
        raise msgspec.ValidationError(f"deploy/simulator has no exchange {', '.join(sorted(unknown))}")
    own = {folder: Path(__file__).with_name(folder) / "accounts.toml" for folder in folders}
    made: list[Exchange] = [
        import_module(f"{__name__}.{folder}").simulate(file, strict=strict)
        for folder, file in (own | told).items()
    ]
    # Last, so that the ports of the exchanges stay.
    return [*made, Bank()]


def _place(folder: str) -> tuple[bool, str]:
    """Return the place of an exchange; OKX comes first, so that its ports stay as in the first version."""
    return folder != "okx", folder


def _named(file: Path) -> str:
    """Return the exchange of an accounts file; OKX if the file names none, as in the first version."""
    return str(msgspec.toml.decode(file.read_bytes()).get("exchange", "okx"))
