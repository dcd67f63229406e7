"""Deleting accounts: at once for the user, in the vault as soon as the destroyer can."""

from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.faults import Code
from gateway.destroying import Destroyer
from gateway.errors import not_found
from gateway.messages import failed_outcome, sync_grant
from gateway.relay import Relay
from gateway.store import accounts, audit, credentials, outbox, pauses, syncs
from gateway.store.audit import Action
from gateway.store.pool import Pool


class Deleting:
    """Takes accounts away with their balances; a sync that is open is settled as failed."""

    def __init__(self, pool: Pool, relay: Relay, destroyer: Destroyer, key: Ed25519PrivateKey) -> None:
        self._pool = pool
        self._relay = relay
        self._destroyer = destroyer
        self._key = key

    async def delete(self, user_id: UUID, account_id: UUID) -> None:
        """Delete an account; raises Problem when the user has none with this id."""
        async with self._pool.transaction() as connection:
            account = await accounts.lock_account(connection, account_id)
            if account is None or account.user_id != user_id or account.credential_id is None:
                raise not_found()
            queued = await syncs.find_open(connection, account_id)
            if queued is not None:
                grant = sync_grant(queued, account.credential_id, self._key)
                await outbox.put(connection, failed_outcome(queued, Code.ACCOUNT_DELETED, grant=grant))
            await accounts.delete_account(connection, account_id)
            pause = await pauses.end(connection, account_id)
            if pause is not None and pause.is_stand_in(account.credential_id):
                await credentials.delete_stand_in(connection, account.credential_id)
            else:
                await credentials.doom(connection, account.credential_id, "live")
            await audit.record(connection, Action.ACCOUNT_DELETED, user_id=user_id, subject=account_id)
        self._destroyer.wake()
        self._relay.wake()
