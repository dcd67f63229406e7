"""The transit engines, from the record that provisioning and rotations write. Pure."""

from collections.abc import Mapping

import msgspec

from contracts.values import AwareTime
from vault_broker.paths import TRANSIT


class Engines(msgspec.Struct, frozen=True):
    """The engines with keys that sign, the newest first, which imports; and the times of the vault's keys.

    Before the first provisioning by this release there is no record, and one engine.
    """

    transit: tuple[str, ...] = (TRANSIT,)
    created: Mapping[str, AwareTime] = {}

    @property
    def newest(self) -> str:
        """Return the engine that imports."""
        return self.transit[0]
