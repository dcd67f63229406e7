"""One fetch by ccxt's asynchronous client, without its rate limiter and without markets."""

import asyncio

import ccxt.async_support

from tests.bench.fetch.timing import plan, run


async def main() -> None:
    """Run a plan."""
    asked = plan()
    options = {
        "hostname": asked.url.removeprefix("https://"),
        "cafile": asked.ca,
        "enableRateLimit": False,
    }
    async with ccxt.async_support.okx(options) as client:
        client.markets = {}

        async def fetch(key: str, secret: str, passphrase: str) -> int:
            client.apiKey, client.secret, client.password = key, secret, passphrase
            return len((await client.fetch_balance())["total"])

        await run(asked, fetch)


if __name__ == "__main__":
    asyncio.run(main())
