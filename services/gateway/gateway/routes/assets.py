"""Names of assets at exchanges: users see whether equal names are one asset, and decide."""

from litestar import delete, get, put

from gateway.http.answers import documented
from gateway.http.asset_views import AssetNameView, asset_name_view
from gateway.http.situations import Doing
from gateway.prices.join import decide, find_name
from gateway.routes.parameters import Database, SignedInRequest

TAG = ["prices"]
JOIN = "/assets/{asset:str}/join"
DECIDING = documented(400, 401, 404, 409, 429)


@get(JOIN, responses=documented(401, 404), tags=TAG)
async def show_asset_name(asset: str, request: SignedInRequest, pool: Database) -> AssetNameView:
    """Show whether an equal name at several exchanges is one asset for you, and why it is not."""
    return asset_name_view(await find_name(pool, request.user.id, asset))


@put(JOIN, responses=DECIDING, tags=TAG, situation=Doing.JOIN_ASSETS)
async def join_assets(asset: str, request: SignedInRequest, pool: Database) -> AssetNameView:
    """Join the assets that exchanges call by this name: for you they are one, whatever their prices say."""
    await decide(pool, request.user.id, asset, join=True)
    return asset_name_view(await find_name(pool, request.user.id, asset))


@delete(JOIN, responses=DECIDING, tags=TAG, situation=Doing.SPLIT_ASSETS)
async def split_assets(asset: str, request: SignedInRequest, pool: Database) -> None:
    """Split the assets that exchanges call by this name: for you each exchange has its own asset."""
    await decide(pool, request.user.id, asset, join=False)
