"""Simulated exchanges on loopback, with the checks of the real ones: each is one folder beside this file."""

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import msgspec

from deploy.simulator.types import Exchange


def simulated(files: list[Path], *, strict: bool) -> list[Exchange]:
    """Make every exchange, with its own accounts or those of the file that names it.

    Raises OSError and msgspec.DecodeError for a file that can not be read.
    """
    folders = sorted(module.name for module in iter_modules(__path__) if module.ispkg)
    told = {_named(file): file for file in files}
    if unknown := told.keys() - set(folders):
        raise msgspec.ValidationError(f"there is no simulated exchange {', '.join(sorted(unknown))}")
    own = {folder: Path(__file__).with_name(folder) / "accounts.toml" for folder in folders}
    return [
        import_module(f"{__name__}.{folder}").simulate(file, strict=strict)
        for folder, file in (own | told).items()
    ]


def _named(file: Path) -> str:
    """Read which exchange the accounts of a file are of; OKX's where it says nothing, as it once had to."""
    return str(msgspec.toml.decode(file.read_bytes()).get("exchange", "okx"))
