"""A replaced key is destroyed, but not before the deadline of the sync that was granted it."""

from deploy.local.postgres import Postgres
from tests.system.person import Person, credentials
from tests.system.test_sweeper import queued, run
from tests.system.vault import Vault

OLD = """select credentials.destroy_at >= syncs.deadline, credentials.state from credentials
         join syncs on syncs.id = %s where credentials.id = %s"""


async def test_an_open_sync_keeps_the_key_it_was_granted(
    person: Person, database: Postgres, vault_admin: Vault
) -> None:
    """The old credential is doomed at once and stays in the vault until the open sync's deadline."""
    path, sync_id = await queued(database, person)
    account = (await person.get(path))["account_id"]
    old = await vault_admin.credential_of(account)

    await person.put(f"/accounts/{account}/credentials", {"credentials": credentials("plain")})

    assert await run(database, OLD, sync_id, old) == [(True, "doomed")]
    assert await vault_admin.holds_exactly(old, await vault_admin.credential_of(account))
