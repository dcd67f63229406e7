"""The transit engines, from the record that provisioning and rotations write. Pure."""

from collections.abc import Mapping

import msgspec

from contracts.values import AwareTime
from vault_broker.paths import TRANSIT


class Engines(msgspec.Struct, frozen=True):
    """The engines with keys that sign, the newest first, which imports; and the times of the vault's keys.

    A vault from an earlier release has one engine, and no record until this release provisions it.
    """

    transit: tuple[str, ...] = (TRANSIT,)
    created: Mapping[str, AwareTime] = {}

    @property
    def newest(self) -> str:
        """Return the engine that imports."""
        return self.transit[0]
