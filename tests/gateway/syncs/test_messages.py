"""The gateway's requests to a worker, and their deadline."""

from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.syncs import SyncRequested
from contracts.wire.envelope import decode
from contracts.wire.grants import read_grant, sync_purpose
from gateway.rows.accounts import Account
from gateway.store.pool import Pool
from gateway.syncs.messages import sync_request
from tests.gateway.conftest import opened


async def test_a_grant_is_for_one_sync_and_ends_with_it(pool: Pool, account: Account) -> None:
    """It names the account's credential and the sync, and is valid exactly until the sync's deadline."""
    key, sync = Ed25519PrivateKey.generate(), await opened(pool, account)

    outgoing = sync_request(sync, account, key)

    assert outgoing is not None
    request: SyncRequested = decode(outgoing.body, SyncRequested)
    grant = read_grant(request.grant, key.public_key(), datetime.now(UTC))
    assert (grant.credential_id, grant.exchange) == (account.credential_id, account.exchange)
    assert grant.purpose == sync_purpose(sync.id)
    assert request.deadline == sync.deadline
    assert grant.exp == sync.deadline
