"""The policy of the vault-broker: only the rights that it needs for the exchanges of the catalogue."""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from contracts.exchanges import EXCHANGES
from vault_broker.paths import TRANSIT
from vault_broker.schemes import scheme_of
from vault_broker.schemes.types import TransitKey

REST = Path(__file__).with_name("broker-policy.hcl")
KEYS = tuple(scheme_of(exchange).key for exchange in EXCHANGES)


def broker_policy(keys: Collection[TransitKey] = KEYS) -> str:
    """Return the policy of a broker that imports keys of these kinds and signs with them."""
    types, paths = sorted({key.type for key in keys}), sorted({key.path("+") for key in keys})
    signing = (_signing(path, [key for key in keys if key.path("+") == path]) for path in paths)
    return "\n".join([_rest(), _importing(types), *signing])


def _rest() -> str:
    return REST.read_text().replace('path "transit/', f'path "{TRANSIT}/')


def _importing(types: Sequence[str]) -> str:
    """Return rules to import wrapped keys; unrestricted, the broker could import exportable keys."""
    allowed: dict[str, Sequence[object]] = {
        "type": types,
        "hash_function": ["SHA256"],
        "exportable": [False],
        "ciphertext": [],
    }
    return _rule(f"{TRANSIT}/keys/+/import", allowed)


def _signing(path: str, keys: Collection[TransitKey]) -> str:
    """Return rules to sign with keys, only with the exact parameters of their kind."""
    if all(key.operation == "hmac" for key in keys):
        return _rule(path)
    fixed = {name: [value] for key in keys for name, value in key.parameters.items()}
    return _rule(path, {"batch_input": [], **fixed})


def _rule(path: str, allowed: Mapping[str, Sequence[object]] | None = None) -> str:
    """Return a rule to update a path, with only the given parameters if any are given."""
    pairs = "".join(f'    "{name}" = {json.dumps(values)}\n' for name, values in (allowed or {}).items())
    restricted = f"  allowed_parameters = {{\n{pairs}  }}\n" if pairs else ""
    return f'path "{path}" {{\n  capabilities = ["update"]\n{restricted}}}\n'
