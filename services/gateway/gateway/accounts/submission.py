"""Checking a submitted key before it is stored: its fields, exchange and region. Pure."""

import msgspec

from contracts.credentials import Fields
from contracts.exchanges import EXCHANGES
from contracts.exchanges.keys import CredentialKind
from contracts.exchanges.types import Exchange
from contracts.remedies import Situation, Standing, became, route_of
from contracts.wire.fields import wrong_fields
from gateway.accounts.pasted import read_pasted
from gateway.accounts.private_keys import refused_material
from gateway.errors import InvalidInput, RegionNotServed
from gateway.rows.offers import Offer


class Submitted(msgspec.Struct, frozen=True):
    """The trimmed fields of a key, a note on each that changed, and the kind of the key."""

    fields: Fields
    notes: tuple[str, ...]
    kind: CredentialKind


def read_fields(
    exchange: Exchange,
    given: Fields,
    situation: Situation,
    standing: Standing = Standing.ACTIVE,
    born: CredentialKind | None = None,
) -> Submitted:
    """Read the submitted fields, of a `born` kind or of the typed kind that they fit.

    Raises InvalidInput, which names each invalid field.
    """
    read = {name: read_pasted(name, secret) for name, secret in given.items()}
    fields = {name: secret for name, (secret, _) in read.items()}
    kind = born or typed_kind(exchange, fields)
    wrong = refused_material(exchange, fields) or wrong_fields(exchange, kind.fields, fields)
    if wrong and born is None and (offered := _of_born_kind(exchange, fields)):
        wrong = {name: f"{reason} {offered}" for name, reason in wrong.items()}
    if wrong:
        reasons = " ".join(wrong.values())
        action = "Copy it again from the exchange, or make a new key there, and s"
        errors = [
            {"field": f"credentials.{name}" if name else "credentials", "message": message}
            for name, message in wrong.items()
        ]
        detail = _not_stored(reasons, situation, standing, action, offered=born is not None)
        raise InvalidInput(detail, errors=errors)
    return Submitted(fields, tuple(note for _, note in read.values() if note), kind)


def typed_kind(exchange: Exchange, fields: Fields) -> CredentialKind:
    """Return the typed kind whose fields fit; if none does, the one with these names, else the first."""
    fits = (kind for kind in exchange.typed if not wrong_fields(exchange, kind.fields, fields))
    named = (kind for kind in exchange.typed if {field.key for field in kind.fields} == fields.keys())
    return next(fits, None) or next(named, exchange.typed[0])


def born_kind(exchange: Exchange) -> CredentialKind:
    """Return the kind of key of an exchange that is born in the vault; raises InvalidInput."""
    kind = next((each for each in exchange.credential_kinds if each.born), None)
    if kind is None:
        reason = (
            f"{exchange.name} takes no key that is born in our vault, so we made no offer: connect the "
            f"account with POST /api/v1/accounts and the fields of its key. Key offers are for {_offering()}."
        )
        raise InvalidInput(reason, errors=[{"field": "exchange", "message": reason}])
    return kind


def check_offer(offer: Offer, exchange: Exchange, region: str) -> CredentialKind:
    """Return the kind of key of an offer, which must be for this exchange and region; raises InvalidInput."""
    kind = exchange.kind(offer.kind) if offer.exchange == exchange.key else None
    if kind is None or offer.region != region:
        reason = (
            f"The key of this offer is for {offer.exchange}, region {offer.region}, not for {exchange.key}, "
            f"region {region}: nothing was changed, and the offer stays open. Use it for an account of its "
            "exchange and region, or make another offer with POST /api/v1/key-offers."
        )
        raise InvalidInput(reason, errors=[{"field": "offer", "message": reason}])
    return kind


def _of_born_kind(exchange: Exchange, fields: Fields) -> str:
    """Return the missing part if the fields fit a born kind; else an empty text."""
    if any(
        fields.keys() == {field.key for field in kind.fields}
        for kind in exchange.credential_kinds
        if kind.born
    ):
        return "If the key was born in our vault, send the `offer` of POST /api/v1/key-offers, too."
    return ""


def find_exchange(key: str) -> Exchange:
    """Find the exchange of an account to connect; raises InvalidInput."""
    exchange = EXCHANGES.get(key)
    if exchange is None:
        reason = f"We do not know this exchange: choose one of {', '.join(EXCHANGES)}."
        raise InvalidInput(_not_stored(reason, Situation.CONNECT))
    return exchange


def offered_exchange(key: str) -> Exchange:
    """Find the exchange of a key offer; raises InvalidInput."""
    exchange = EXCHANGES.get(key)
    if exchange is None:
        words = f"We do not know this exchange, and made no offer: choose one of {_offering()}."
        raise InvalidInput(words, errors=[{"field": "exchange", "message": words}])
    return exchange


def _offering() -> str:
    """Return the exchanges that take keys that are born in the vault."""
    return ", ".join(
        each.key for each in EXCHANGES.values() if any(kind.born for kind in each.credential_kinds)
    )


def check_region(
    exchange: Exchange,
    region: str,
    situation: Situation,
    standing: Standing = Standing.ACTIVE,
    *,
    offered: bool = False,
) -> None:
    """Raise InvalidInput for a region that the exchange lacks, RegionNotServed for one not served.

    With `offered` the key came with a key offer, which stays open.
    """
    if (wrong := _wrong_region(exchange, region)) is None:
        return
    if isinstance(wrong, RegionNotServed):
        happened = became(situation, standing, stored=False, offered=offered)
        raise RegionNotServed(f"{wrong.detail} {happened}")
    raise InvalidInput(_not_stored(wrong.detail, situation, standing, offered=offered))


def check_offered_region(exchange: Exchange, region: str) -> None:
    """Check the region of a key offer to make, as `check_region` does, in its own words."""
    if (wrong := _wrong_region(exchange, region)) is not None:
        errors = [{"field": "region", "message": wrong.detail}]
        raise type(wrong)(f"{wrong.detail} No key was offered.", errors=errors)


def _wrong_region(exchange: Exchange, region: str) -> InvalidInput | RegionNotServed | None:
    """Return why accounts of a region can not be connected; None if they can."""
    if exchange.region(region) is not None:
        return None
    known = ", ".join(f"{each.key} ({each.name})" for each in exchange.regions)
    unserved = exchange.unserved_region(region)
    if unserved is None:
        return InvalidInput(f"We do not know this region of {exchange.name}: choose one of {known}.")
    return RegionNotServed(f"We do not serve {unserved.name} yet. {unserved.reason} We serve {known}.")


def _not_stored(
    reason: str,
    situation: Situation,
    standing: Standing = Standing.ACTIVE,
    submit: str = "S",
    *,
    offered: bool = False,
) -> str:
    happened = became(situation, standing, stored=False, offered=offered)
    return (
        f"{reason} {happened} {submit}ubmit the key again {route_of(situation, standing, offered=offered)}."
    )
