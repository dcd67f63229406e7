"""Prices of assets in USD: as the market shows them, and as a user sets them."""

import msgspec
from litestar import delete, get, put
from litestar.di import NamedDependency

from gateway.http.answers import documented
from gateway.http.price_views import PriceView, price_view
from gateway.http.situations import Doing
from gateway.prices.look import delete_by_hand, look, set_by_hand
from gateway.prices.readings import Readings
from gateway.routes.parameters import Database, SignedInRequest

TAG = ["prices"]


class SetPrice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Your own price of one unit of an asset, a decimal number in USD above 0."""

    value_usd: str


@get("/prices/{asset:str}", responses=documented(401, 404), tags=TAG)
async def show_price(
    asset: str, request: SignedInRequest, pool: Database, readings: NamedDependency[Readings]
) -> PriceView:
    """Show the price of an asset, where it comes from, and every other price that we know."""
    return price_view(await look(pool, readings, request.user.id, asset))


@put(
    "/prices/{asset:str}/manual",
    responses=documented(401, 404, 409, 429),
    tags=TAG,
    situation=Doing.SET_PRICE,
)
async def set_manual_price(
    asset: str,
    data: SetPrice,
    request: SignedInRequest,
    pool: Database,
    readings: NamedDependency[Readings],
) -> PriceView:
    """Set your own price of an asset; it counts for you in place of the market's until you delete it."""
    await set_by_hand(pool, request.user.id, asset, data.value_usd)
    return price_view(await look(pool, readings, request.user.id, asset))


@delete(
    "/prices/{asset:str}/manual",
    responses=documented(401, 404, 429),
    tags=TAG,
    situation=Doing.DELETE_PRICE,
)
async def delete_manual_price(asset: str, request: SignedInRequest, pool: Database) -> None:
    """Delete your own price of an asset: the market's counts again."""
    await delete_by_hand(pool, request.user.id, asset)
