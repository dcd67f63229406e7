"""A connected account at Binance."""

import msgspec
import pytest_asyncio

from gateway.rows.accounts import Account
from gateway.store.pool import Pool
from tests.gateway.conftest import connected
from tests.gateway.http.test_views import ACCOUNT


@pytest_asyncio.fixture(name="binance")
async def _binance(pool: Pool) -> Account:
    """Return a connected account at Binance."""
    account = msgspec.structs.replace(
        ACCOUNT, exchange="binance", permissions=("enableReading",), last_synced_at=None, last_error_code=None
    )
    return await connected(pool, account)
