"""The transit engines of the vault: which are live, and in which one keys are imported (decision 40)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import httpx

from contracts.wire.pinning import wrapping_key_fingerprint
from deploy.vault.calls import Answer, call, create, mount, now, record
from deploy.vault.policy import broker_policy
from vault_broker.paths import ENGINES, TRANSIT

BROKER = "vault-broker"
KIND: Answer = {"type": "transit"}
# The keys whose time the record has.
WRAPPING, SEAL = "wrapping", "seal"


@dataclass(frozen=True, slots=True)
class Engines:
    """The record of the engines.

    `live` hold keys that sign, the newest first, which alone imports. During a rotation `other` is the
    successor, which is not live yet, or the predecessor, whose last imports end. `created` has the times of
    keys as far as they are known.
    """

    live: tuple[str, ...] = (TRANSIT,)
    other: str = ""
    created: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, content: Answer) -> "Engines":
        """Read a record."""
        return cls(tuple(content["transit"]), content.get("other", ""), content.get("created", {}))

    @property
    def content(self) -> Answer:
        """Return the record as the vault has it; brokers read `transit` and `created`."""
        return {"transit": [*self.live], "other": self.other, "created": dict(self.created)}

    @property
    def known(self) -> tuple[str, ...]:
        """Return all engines, also a successor."""
        return tuple(dict.fromkeys((*self.live, *self._other)))

    @property
    def importing(self) -> tuple[str, ...]:
        """Return the engines into which brokers may import."""
        return self.live[0], *self._other

    @property
    def pinned(self) -> tuple[str, ...]:
        """Return the engines whose wrapping keys gateways pin: the newest, and a successor."""
        return self.live[0], *(name for name in self._other if name not in self.live)

    @property
    def _other(self) -> tuple[str, ...]:
        return (self.other,) if self.other else ()

    @property
    def policy(self) -> str:
        """Return the policy of brokers."""
        return broker_policy(engines=self.known, importing=self.importing)

    def made(self, key: str) -> "Engines":
        """Return them with a key that was made now."""
        return replace(self, created={**self.created, key: now()})


async def settle(client: httpx.AsyncClient, *, new: bool) -> Engines:
    """Return the engines of the record, and mount those that are missing; without a record, mount the first.

    `new` says that the vault was just initialised, and its seal with it.
    """
    found = await record(client, ENGINES)
    engines = Engines.of(found) if found else Engines()
    mounted = await mount(client, {f"sys/mounts/{name}": KIND for name in engines.known})
    if found:
        return engines
    if mounted:
        engines = engines.made(WRAPPING)
    if new:
        engines = engines.made(SEAL)
    await create(client, ENGINES, engines.content)
    return engines


async def write(client: httpx.AsyncClient, engines: Engines) -> None:
    """Write the record."""
    await call(client, "POST", ENGINES, {"data": engines.content})


async def admit(client: httpx.AsyncClient, engines: Engines) -> None:
    """Write the policy of brokers."""
    await call(client, "PUT", f"sys/policies/acl/{BROKER}", {"policy": engines.policy})


async def fingerprints(client: httpx.AsyncClient, engines: Engines) -> str:
    """Return the fingerprints of the wrapping keys that gateways pin.

    The first read of a key makes it, which takes up to a second.
    """
    answers = [await call(client, "GET", f"{name}/wrapping_key") for name in engines.pinned]
    return ",".join(wrapping_key_fingerprint(answer["data"]["public_key"]) for answer in answers)
