"""Advice to a user about a fault; for a wrong region or IP allow-list it names the values to choose."""

import msgspec

from contracts.exchanges.types import Exchange
from contracts.faults import Code, fault_of
from contracts.remedies import Situation, Standing, became, route_of


class Advice(msgspec.Struct, frozen=True):
    """The situation of a user who meets a fault; `region` is None if unknown, `egress` are our addresses.

    `standing` is the state of the account that has the fault. With `offered` the submitted key came with a
    key offer.
    """

    situation: Situation
    exchange: Exchange
    region: str | None
    egress: tuple[str, ...]
    standing: Standing = Standing.ACTIVE
    offered: bool = False

    def next_action(self, code: str) -> str:
        """Return what happened to the key and what to do now."""
        step = (self._step_of_offer(code) if self.offered else None) or self._step(code)
        return fault_of(code).next_action(self.situation, step, self.standing, offered=self.offered)

    def became(self, *, stored: bool = True) -> str:
        """Return what happened to the submitted key; `stored` says whether it reached the vault."""
        return became(self.situation, self.standing, stored=stored, offered=self.offered)

    def route(self) -> str:
        """Return the request that submits the key again."""
        return route_of(self.situation, self.standing, offered=self.offered)

    def _step_of_offer(self, code: str) -> str | None:
        """Return a first step at the exchange that keeps the key of the offer; None if none differs."""
        if code == Code.SIGNATURE_REJECTED:
            return (
                f"Look at the key at {self.exchange.name}: copy its API key whole. If it does not have the "
                "public key of the offer, make one there with that public key."
            )
        if code in (Code.OVER_PRIVILEGED_KEY, Code.UNKNOWN_RIGHT):
            return (
                f"Leave this key only the right to read at {self.exchange.name}, or make another one there."
            )
        return None

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
