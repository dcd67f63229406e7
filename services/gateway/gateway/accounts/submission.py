"""Checking a submitted key before it is stored: its fields, exchange and region. Pure."""

import msgspec

from contracts.credentials import Fields
from contracts.exchanges import EXCHANGES
from contracts.exchanges.types import Exchange
from contracts.remedies import Situation, Standing, became, route_of
from contracts.wire.fields import wrong_fields
from gateway.accounts.pasted import read_pasted
from gateway.errors import InvalidInput, RegionNotServed


class Submitted(msgspec.Struct, frozen=True):
    """The trimmed fields of a key, and a note on each that changed."""

    fields: Fields
    notes: tuple[str, ...]


def read_fields(
    exchange: Exchange, given: Fields, situation: Situation, standing: Standing = Standing.ACTIVE
) -> Submitted:
    """Read the submitted fields; raises InvalidInput, which names each invalid field."""
    read = {name: read_pasted(name, secret) for name, secret in given.items()}
    fields = {name: secret for name, (secret, _) in read.items()}
    wrong = wrong_fields(exchange, exchange.typed[0].fields, fields)
    if wrong:
        reasons = " ".join(wrong.values())
        action = "Copy it again from the exchange, or make a new key there, and s"
        errors = [
            {"field": f"credentials.{name}" if name else "credentials", "message": message}
            for name, message in wrong.items()
        ]
        raise InvalidInput(_not_stored(reasons, situation, standing, action), errors=errors)
    return Submitted(fields, tuple(note for _, note in read.values() if note))


def find_exchange(key: str) -> Exchange:
    """Find the exchange of an account to connect; raises InvalidInput."""
    exchange = EXCHANGES.get(key)
    if exchange is None:
        reason = f"We do not know this exchange: choose one of {', '.join(EXCHANGES)}."
        raise InvalidInput(_not_stored(reason, Situation.CONNECT))
    return exchange


def check_region(
    exchange: Exchange, region: str, situation: Situation, standing: Standing = Standing.ACTIVE
) -> None:
    """Raise InvalidInput for a region that the exchange lacks, RegionNotServed for one not served."""
    if exchange.region(region) is not None:
        return
    known = ", ".join(f"{each.key} ({each.name})" for each in exchange.regions)
    unserved = exchange.unserved_region(region)
    if unserved is None:
        reason = f"We do not know this region of {exchange.name}: choose one of {known}."
        raise InvalidInput(_not_stored(reason, situation, standing))
    reason = f"We do not serve {unserved.name} yet. {unserved.reason} We serve {known}."
    words = f"{reason} {became(situation, standing, stored=False)}"
    raise RegionNotServed(words)


def _not_stored(
    reason: str, situation: Situation, standing: Standing = Standing.ACTIVE, submit: str = "S"
) -> str:
    happened = became(situation, standing, stored=False)
    return f"{reason} {happened} {submit}ubmit the key again {route_of(situation, standing)}."
