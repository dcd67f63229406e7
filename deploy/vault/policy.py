"""The policy of the vault-broker: only the rights that it needs for the exchanges of the catalogue."""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from contracts.exchanges import EXCHANGES
from vault_broker.paths import TRANSIT
from vault_broker.schemes import scheme_of
from vault_broker.schemes.types import TransitKey

REST = Path(__file__).with_name("broker-policy.hcl")
KINDS = tuple((exchange.key, kind) for exchange in EXCHANGES.values() for kind in exchange.credential_kinds)


def _keys(*, born: bool) -> tuple[TransitKey, ...]:
    return tuple(scheme_of(exchange, kind.key).key for exchange, kind in KINDS if kind.born == born)


KEYS, BORN = _keys(born=False), _keys(born=True)


def broker_policy(
    keys: Collection[TransitKey] = KEYS,
    engines: Sequence[str] = (TRANSIT,),
    importing: Sequence[str] = (TRANSIT,),
    born: Collection[TransitKey] = BORN,
) -> str:
    """Return the policy of a broker that imports keys of these kinds and signs with them.

    It makes keys of the kinds of `born`, and signs with these, too. It signs and destroys in all `engines`,
    but imports, makes keys and reads wrapping keys only in `importing`: an import that was recorded before a
    rotation can be repeated nowhere.
    """
    types = sorted({key.type for key in keys})
    imports = (_importing(engine, types) for engine in importing)
    makes = {engine: sorted({key.type for key in born}) for engine in importing}
    used = (_using(engine, [*keys, *born], makes.get(engine, ())) for engine in engines)
    return "\n".join([REST.read_text(), *imports, *used])


def _importing(engine: str, types: Sequence[str]) -> str:
    """Return rules to import wrapped keys; unrestricted, the broker could import exportable keys."""
    allowed: dict[str, Sequence[object]] = {
        "type": types,
        "hash_function": ["SHA256"],
        "exportable": [False],
        "ciphertext": [],
    }
    wrapping_key = _rule(f"{engine}/wrapping_key", None, "read")
    return "\n".join((_rule(f"{engine}/keys/+/import", allowed), wrapping_key))


def _using(engine: str, keys: Collection[TransitKey], makes: Sequence[str]) -> str:
    """Return rules to sign with keys, to destroy them, and to make keys of the types of `makes`.

    Only to allow deletion: with other parameters the broker could make a key exportable. Without a type the
    vault would make one that encrypts. The answer has the public half, and for a key that exists nothing
    changes, so the broker needs no right to read.
    """
    paths = sorted({key.path("+", engine) for key in keys})
    signing = (_signing(path, [key for key in keys if key.path("+", engine) == path]) for path in paths)
    deletion = _rule(f"{engine}/keys/+/config", {"deletion_allowed": [True]})
    keeping = _rule(f"{engine}/keys/+", None, "delete")
    if makes:
        keeping = _rule(f"{engine}/keys/+", {"type": makes}, "update", "delete", required=("type",))
    return "\n".join((*signing, deletion, keeping))


def _signing(path: str, keys: Collection[TransitKey]) -> str:
    """Return rules to sign with keys, only with the exact parameters of their kind."""
    if all(key.operation == "hmac" for key in keys):
        return _rule(path)
    fixed = {name: [value] for key in keys for name, value in key.parameters.items()}
    return _rule(path, {"batch_input": [], **fixed})


def _rule(
    path: str,
    allowed: Mapping[str, Sequence[object]] | None = None,
    *capabilities: str,
    required: Sequence[str] = (),
) -> str:
    """Return a rule for a path, by default to update, with only the given parameters if any are given."""
    pairs = "".join(f'    "{name}" = {json.dumps(values)}\n' for name, values in (allowed or {}).items())
    restricted = f"  allowed_parameters = {{\n{pairs}  }}\n" if pairs else ""
    if required:
        restricted += f"  required_parameters = {json.dumps([*required])}\n"
    granted = json.dumps([*(capabilities or ("update",))])
    return f'path "{path}" {{\n  capabilities = {granted}\n{restricted}}}\n'
