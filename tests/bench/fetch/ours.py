"""One fetch by our connector; a signer in this process takes the place of the vault-broker and its vault."""

import asyncio
import base64
import hmac
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast
from uuid import UUID

from chassis.clocks import Clocks
from contracts.credentials import SignedRead
from contracts.exchanges.okx import OKX
from contracts.exchanges.types import OWN, Read
from contracts.values import Secret
from sync_worker.broker import Access, Broker
from sync_worker.exchanges.http import Https
from sync_worker.exchanges.okx.connector import Okx
from sync_worker.exchanges.okx.payloads import parse_trading
from sync_worker.exchanges.signed import Parts
from sync_worker.verdicts import TOLERANCE, parsed
from tests.bench.fetch.timing import plan, run
from vault_broker.schemes import scheme_of
from vault_broker.schemes.types import Draft

if TYPE_CHECKING:
    from sync_worker.settings import Settings

READ = Read("account_balance")
SECONDS = 10


class Signer:
    """Signs reads with the credentials that it was given last."""

    fields: dict[str, Secret]

    async def authorize(self, _access: Access, reads: Sequence[Read], now: int) -> tuple[SignedRead, ...]:
        """Sign reads as the vault-broker does."""
        scheme = scheme_of(OKX.key)
        drafts = [Draft(read.name, OKX.request(read), now, scheme.stamp(now)) for read in reads]
        key = self.fields["api_secret"].reveal().encode()
        digests = [hmac.digest(key, scheme.message(draft, self.fields), "sha256") for draft in drafts]
        return tuple(
            scheme.write(draft, self.fields, base64.b64encode(digest).decode())
            for draft, digest in zip(drafts, digests, strict=True)
        )


async def main() -> None:
    """Run a plan."""
    asked, signer = plan(), Signer()
    origins = {OKX.key: {"global": {OWN: asked.url}}}
    # The connector uses only these settings.
    settings = cast("Settings", _Settings(origins))
    https = Https(asked.ca)
    reader = Okx(Parts(https, cast("Broker", signer), Clocks(), settings), TOLERANCE)._reader

    async def fetch(key: str, secret: str, passphrase: str) -> int:
        told = {"api_key": key, "api_secret": secret, "passphrase": passphrase}
        signer.fields = {name: Secret(text) for name, text in told.items()}
        access = Access(UUID(int=0), OKX.key, "global", "", time.monotonic() + SECONDS)
        (answer,) = await reader.read(access, (READ,))
        return len(parsed(parse_trading, answer).balances)

    try:
        await run(asked, fetch)
    finally:
        await https.close()


class _Settings:
    egress_addresses = ()

    def __init__(self, origins: dict[str, dict[str, dict[str, str]]]) -> None:
        self.origins = origins


if __name__ == "__main__":
    asyncio.run(main())
