"""The key pairs that all brokers share, from the record that provisioning writes. Pure."""

from base64 import b64decode
from dataclasses import dataclass
from datetime import datetime

import msgspec

from contracts.values import AwareTime, Secret
from contracts.wire.sealing import SealingKey
from vault_broker.errors import VaultUnavailable


class SealingRecord(msgspec.Struct):
    """The record; before the first rotation it has only `private_key`, both keys are in base64.

    `other_private_key` is the successor or the predecessor; `created` is the time of `private_key`.
    """

    private_key: Secret
    other_private_key: Secret | None = None
    created: AwareTime | None = None


@dataclass(frozen=True)
class SealingKeys:
    """The key pair to which gateways seal, and during a rotation another that opens, too.

    `made` is the time when the first one was made, None if the record does not say it.
    """

    newest: SealingKey
    other: SealingKey | None = None
    made: datetime | None = None

    @classmethod
    def of(cls, record: SealingRecord) -> "SealingKeys":
        """Read the key pairs of the record; raises VaultUnavailable if one is damaged."""
        try:
            other = _key(record.other_private_key) if record.other_private_key else None
            return cls(_key(record.private_key), other, record.created)
        except ValueError:
            raise VaultUnavailable("the vault's record of the sealing key is damaged") from None

    @property
    def live(self) -> int:
        """Return the number of keys that open."""
        return 1 if self.other is None else 2

    def find(self, key_id: str) -> SealingKey | None:
        """Return the key with this id, None if it is not live."""
        return next((key for key in (self.newest, self.other) if key and key.key_id == key_id), None)


def _key(text: Secret) -> SealingKey:
    return SealingKey.from_bytes(b64decode(text.reveal(), validate=True))
