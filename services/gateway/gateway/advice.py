"""What a user is told to do about a fault: a wrong region and a bound key name what to choose."""

import msgspec

from contracts.exchanges.types import Exchange
from contracts.faults import Code, fault_of
from contracts.remedies import Situation, Standing


class Advice(msgspec.Struct, frozen=True):
    """Where a user meets faults; `region` is None where it is not known, `egress` are our own addresses.

    `standing` is how the account stands to which the fault happened.
    """

    situation: Situation
    exchange: Exchange
    region: str | None
    egress: tuple[str, ...]
    standing: Standing = Standing.ACTIVE

    def next_action(self, code: str) -> str:
        """Say what happened to the key and what to do now."""
        return fault_of(code).next_action(self.situation, self._step(code), self.standing)

    def _step(self, code: str) -> str | None:
        """Name the first step where more is known than the table of faults knows."""
        if code == Code.KEY_UNKNOWN and self.region is not None and self.situation is Situation.SYNC:
            others = [
                f"{each.key} ({each.name})" for each in self.exchange.regions if each.key != self.region
            ]
            return (
                f"Copy the API key whole, make a new one if it was deleted at {self.exchange.name}, or name "
                f"the region in which the account was registered: {', '.join(others)}."
            )
        if code in (Code.IP_NOT_ALLOWED, Code.IP_BINDING_REQUIRED) and self.egress:
            return f"Add {', '.join(self.egress)} to the key's IP allow-list at {self.exchange.name}."
        return None
