"""Equal names of assets in API responses."""

from collections.abc import Mapping

import msgspec

from contracts.faults import CodeText
from gateway.portfolio.identity import Apart
from gateway.prices.join import Named

JOIN = "If they are one asset, join them: PUT /api/v1/assets/{asset}/join with the name."
APART: Mapping[str, str] = {
    Apart.DIFFER: (
        "Two exchanges list this name, and their prices differed by more than 20 %: we count two assets. "
        f"{JOIN}"
    ),
    Apart.UNCOMPARED: (
        "Two exchanges list this name, and we have not seen both prices at one time yet: we count two. "
        f"{JOIN}"
    ),
    Apart.BY_USER: f"You split the assets of this name. {JOIN}",
    Apart.BY_TABLE: "Two exchanges call different assets by this name.",
}


class AssetNameView(msgspec.Struct, frozen=True):
    """Whether equal names at exchanges are one asset for you; `apart` says why they are not.

    `chosen` is true if you decided so. Otherwise the table of assets or the prices decide.
    """

    asset: str
    joined: bool
    chosen: bool
    apart: CodeText | None
    apart_detail: str | None


def asset_name_view(of: Named) -> AssetNameView:
    """Return the view of a name."""
    detail = None if of.apart is None else APART[of.apart]
    return AssetNameView(of.asset, of.joined, of.chosen, of.apart, detail)
