"""Holdings of several exchanges by asset: amounts in its units, and a text of its own. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import msgspec

from gateway.portfolio.holdings import EXACT
from gateway.portfolio.identity import Apart, Asset, Identity, scaled
from gateway.portfolio.values import Valued


class Group(msgspec.Struct, frozen=True):
    """An asset with the text that names it among the holdings, and why another one has the same name."""

    text: str
    asset: Asset
    apart: Apart | None = None


Groups = Mapping[tuple[str, str], Group]


def groups_of(names: Iterable[tuple[str, str]], identity: Identity) -> Groups:
    """Return the asset of each name at an exchange; only assets that share a name have texts with `@`."""
    assets = {(exchange, name): identity.of(exchange, name) for exchange, name in names}
    keys: defaultdict[str, set[tuple[str, str | None]]] = defaultdict(set)
    for asset in assets.values():
        keys[asset.name].add(asset.key)
    return {
        place: Group(asset.text, asset, identity.apart(asset.name))
        if len(keys[asset.name]) > 1
        else Group(asset.name, asset)
        for place, asset in assets.items()
    }


def regrouped(exchange: str, parts: Iterable[Valued], groups: Groups) -> tuple[Valued, ...]:
    """Return the parts of an account by asset; the values stay the same, to the last digit."""
    return tuple(_regrouped(part, groups[exchange, part.asset]) for part in parts)


def _regrouped(part: Valued, group: Group) -> Valued:
    power = group.asset.power
    if not power:
        return part if part.asset == group.text else msgspec.structs.replace(part, asset=group.text)
    return msgspec.structs.replace(
        part,
        asset=group.text,
        quantity=EXACT.scaleb(part.quantity, power),
        borrowed=None if part.borrowed is None else EXACT.scaleb(part.borrowed, power),
        price=scaled(part.price, -power),
    )
