"""The floor: aiohttp and msgspec with the few lines that OKX needs, connections kept alive."""

import asyncio
import base64
import hmac
import ssl
from datetime import UTC, datetime

import aiohttp
import msgspec

from tests.bench.fetch.timing import plan, run

TARGET = "/api/v5/account/balance"


class Detail(msgspec.Struct):
    """A row."""

    ccy: str
    eq: str
    availBal: str  # noqa: N815 - the exchange's name


class Data(msgspec.Struct):
    """The trading wallet."""

    details: list[Detail]


class Envelope(msgspec.Struct):
    """A response."""

    code: str
    data: list[Data]


async def main() -> None:
    """Run a plan."""
    asked = plan()
    decoder = msgspec.json.Decoder(Envelope)
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=asked.ca))
    async with aiohttp.ClientSession(asked.url, connector=connector) as session:

        async def fetch(key: str, secret: str, passphrase: str) -> int:
            stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
            digest = hmac.digest(secret.encode(), f"{stamp}GET{TARGET}".encode(), "sha256")
            headers = {
                "OK-ACCESS-KEY": key,
                "OK-ACCESS-SIGN": base64.b64encode(digest).decode(),
                "OK-ACCESS-TIMESTAMP": stamp,
                "OK-ACCESS-PASSPHRASE": passphrase,
            }
            async with session.get(TARGET, headers=headers) as response:
                return len(decoder.decode(await response.read()).data[0].details)

        await run(asked, fetch)


if __name__ == "__main__":
    asyncio.run(main())
