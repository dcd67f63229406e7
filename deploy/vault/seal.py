"""The keys that unseal the vault: which files have them, and under which ids the vault knows them.

`seal.json` beside the keys names the current one and, during a rotation, the previous one; it says, too, how
far a rotation is. Until the first rotation `seal.key` alone has the key, and its id
is that of the installation.
"""

from dataclasses import dataclass
from pathlib import Path
from secrets import token_bytes

import msgspec

from deploy.private_files import kept, write_private

SEAL_BYTES = 32
FIRST_FILE, KEYS_FILE = "seal.key", "seal.json"


class SealKey(msgspec.Struct, frozen=True):
    """The id of a key, and the name of its file."""

    id: str
    file: str


class Keys(msgspec.Struct, frozen=True, omit_defaults=True):
    """The current key, and during a rotation the previous one.

    `unrecorded`: the vault does not have the time of this rotation yet, so it goes on. `started`: the server
    has started with the current key alone.
    """

    current: SealKey
    previous: SealKey | None = None
    unrecorded: bool = False
    started: bool = False

    @property
    def turning(self) -> bool:
        """Return whether a rotation is not at its end."""
        return self.unrecorded or self.previous is not None


@dataclass(frozen=True, slots=True)
class Seal:
    """The folder of a vault's seal; `first` is the id of its first key."""

    folder: Path
    first: str

    def keys(self) -> Keys:
        """Return the keys in use; the first one is made if it is missing. Raises OSError, ValueError."""
        named = self.folder / KEYS_FILE
        if named.exists():
            try:
                return msgspec.json.decode(named.read_bytes(), type=Keys)
            except msgspec.DecodeError:
                raise ValueError(f"{named} is damaged: take it from your backup of the keys") from None
        kept(self.folder / FIRST_FILE, lambda: token_bytes(SEAL_BYTES))
        return Keys(SealKey(self.first, FIRST_FILE))

    def files(self) -> list[Path]:
        """Return the files of the keys in use."""
        keys = self.keys()
        return [self.folder / key.file for key in (keys.current, keys.previous) if key]

    def configuration(self, where: str | None = None) -> dict[str, object]:
        """Return the server's `seal`, whose files are in the folder `where`, here if it is not given."""
        keys, place = self.keys(), where or str(self.folder)
        stanza = {"current_key_id": keys.current.id, "current_key": f"file://{place}/{keys.current.file}"}
        if keys.previous:
            stanza["previous_key_id"] = keys.previous.id
            stanza["previous_key"] = f"file://{place}/{keys.previous.file}"
        return {"static": stanza}

    def begin(self, identity: str) -> None:
        """Make a new key the current one, and the one before the previous."""
        key = SealKey(identity, f"seal-{identity}.key")
        write_private(self.folder / key.file, token_bytes(SEAL_BYTES))
        self._write(Keys(key, self.keys().current, unrecorded=True))

    def finish(self) -> None:
        """Use the current key alone; the file of the previous one stays."""
        self._write(Keys(self.keys().current, unrecorded=True))

    def note_start(self) -> None:
        """Note that the server has started with the current key alone."""
        self._write(Keys(self.keys().current, unrecorded=True, started=True))

    def forget(self) -> list[str]:
        """Delete the files of former keys, and return their names: the rotation is at its end."""
        former = [path for path in self.folder.glob("seal*.key") if path not in self.files()]
        for path in former:
            path.unlink()
        self._write(Keys(self.keys().current))
        return [path.name for path in former]

    def _write(self, keys: Keys) -> None:
        write_private(self.folder / KEYS_FILE, msgspec.json.encode(keys))
