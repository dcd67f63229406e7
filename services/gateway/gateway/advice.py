"""Advice to a user about a fault; for a wrong region or IP allow-list it names the values to choose."""

import msgspec

from contracts.exchanges.types import Exchange
from contracts.faults import Code, fault_of
from contracts.remedies import Situation, Standing


class Advice(msgspec.Struct, frozen=True):
    """The situation of a user who meets a fault; `region` is None if unknown, `egress` are our addresses.

    `standing` is the state of the account that has the fault.
    """

    situation: Situation
    exchange: Exchange
    region: str | None
    egress: tuple[str, ...]
    standing: Standing = Standing.ACTIVE

    def next_action(self, code: str) -> str:
        """Return what happened to the key and what to do now."""
        return fault_of(code).next_action(self.situation, self._step(code), self.standing)

    def _step(self, code: str) -> str | None:
        """Return a more specific first step than the table of faults, if the situation allows it."""
        if code == Code.KEY_UNKNOWN and self.region is not None and self.situation is Situation.SYNC:
            others = [
                f"{each.key} ({each.name})" for each in self.exchange.regions if each.key != self.region
            ]
            return (
                f"Copy the API key whole, make a new one if it was deleted at {self.exchange.name}, or name "
                f"the region in which the account was registered: {', '.join(others)}."
            )
        if code == Code.KEY_REJECTED and self.exchange.joined_causes:
            ours = f"has {', '.join(self.egress)}" if self.egress else "has our egress address"
            return (
                f"Look at the key at {self.exchange.name}: it still exists and is copied whole, its IP "
                f"allow-list {ours} or is off, and it may read. Otherwise make a new one there."
            )
        if code in (Code.IP_NOT_ALLOWED, Code.IP_BINDING_REQUIRED) and self.egress:
            return f"Add {', '.join(self.egress)} to the key's IP allow-list at {self.exchange.name}."
        return None
