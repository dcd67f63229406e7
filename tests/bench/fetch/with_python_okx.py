"""One fetch by the exchange's own client, python-okx, which keeps its connection alive."""

import asyncio
import os

from okx.Account import AccountAPI

from tests.bench.fetch.timing import plan, run


async def main() -> None:
    """Run a plan; the client is synchronous."""
    asked = plan()
    os.environ["SSL_CERT_FILE"] = asked.ca
    client = AccountAPI("key", "secret", "passphrase", flag="0", domain=asked.url)

    async def fetch(key: str, secret: str, passphrase: str) -> int:
        client.API_KEY, client.API_SECRET_KEY, client.PASSPHRASE = key, secret, passphrase
        return len(client.get_account_balance()["data"][0]["details"])

    await run(asked, fetch)


if __name__ == "__main__":
    asyncio.run(main())
