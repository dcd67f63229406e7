"""The policy of the vault-broker: only the rights that it needs for the exchanges of the catalogue."""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from contracts.exchanges import EXCHANGES
from vault_broker.paths import TRANSIT
from vault_broker.schemes import schemes_of
from vault_broker.schemes.types import TransitKey

REST = Path(__file__).with_name("broker-policy.hcl")
KEYS = tuple(scheme.key for exchange in EXCHANGES for scheme in schemes_of(exchange))


def broker_policy(
    keys: Collection[TransitKey] = KEYS,
    engines: Sequence[str] = (TRANSIT,),
    importing: Sequence[str] = (TRANSIT,),
) -> str:
    """Return the policy of a broker that imports keys of these kinds and signs with them.

    It signs and destroys in all `engines`, but imports and reads wrapping keys only in `importing`: an import
    that was recorded before a rotation can be repeated nowhere.
    """
    types = sorted({key.type for key in keys})
    imports = (_importing(engine, types) for engine in importing)
    return "\n".join([REST.read_text(), *imports, *(_using(engine, keys) for engine in engines)])


def _importing(engine: str, types: Sequence[str]) -> str:
    """Return rules to import wrapped keys; unrestricted, the broker could import exportable keys."""
    allowed: dict[str, Sequence[object]] = {
        "type": types,
        "hash_function": ["SHA256"],
        "exportable": [False],
        "ciphertext": [],
    }
    wrapping_key = _rule(f"{engine}/wrapping_key", capability="read")
    return "\n".join((_rule(f"{engine}/keys/+/import", allowed), wrapping_key))


def _using(engine: str, keys: Collection[TransitKey]) -> str:
    """Return rules to sign with keys and to destroy them.

    Only to allow deletion: with other parameters the broker could make a key exportable.
    """
    paths = sorted({key.path("+", engine) for key in keys})
    signing = (_signing(path, [key for key in keys if key.path("+", engine) == path]) for path in paths)
    deletion = _rule(f"{engine}/keys/+/config", {"deletion_allowed": [True]})
    return "\n".join((*signing, deletion, _rule(f"{engine}/keys/+", capability="delete")))


def _signing(path: str, keys: Collection[TransitKey]) -> str:
    """Return rules to sign with keys, only with the exact parameters of their kind."""
    if all(key.operation == "hmac" for key in keys):
        return _rule(path)
    fixed = {name: [value] for key in keys for name, value in key.parameters.items()}
    return _rule(path, {"batch_input": [], **fixed})


def _rule(
    path: str, allowed: Mapping[str, Sequence[object]] | None = None, capability: str = "update"
) -> str:
    """Return a rule for a path, with only the given parameters if any are given."""
    pairs = "".join(f'    "{name}" = {json.dumps(values)}\n' for name, values in (allowed or {}).items())
    restricted = f"  allowed_parameters = {{\n{pairs}  }}\n" if pairs else ""
    return f'path "{path}" {{\n  capabilities = ["{capability}"]\n{restricted}}}\n'
