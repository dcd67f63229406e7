"""The server's configuration of the previous version: one account, which all users share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from contracts import subjects
from contracts.wire.bus_accounts import _permissions
from contracts.wire.bus_users import GATEWAY, SYNC_WORKER, VAULT_BROKER, User
from contracts.wire.subscribers import PREFIX
from deploy.bus_keys import SYSTEM
from deploy.local.nats import Nats, running_nats, until_it_accepts
from deploy.local.processes import Processes
from deploy.local.subscribers import public_key

SUBSCRIBER = User(PREFIX, subscribe=(subjects.ACCOUNT_EVENTS_ALL,))
BROKER = User(
    VAULT_BROKER.name,
    subscribe=tuple(row for row in VAULT_BROKER.subscribe if " " in row),
    replies_within=VAULT_BROKER.replies_within,
)


def one_account(bus: Nats) -> str:
    """Return the configuration of a bus with one account for all, and without later rights."""

    def key(name: str) -> str:
        return public_key(bus.seed_file(name))

    users = "\n".join(
        f"      {{ nkey: {key(user.name)}{_permissions(user)} }}"
        for user in (GATEWAY, SYNC_WORKER, BROKER, SUBSCRIBER)
    )
    before, _, _ = bus.configuration.read_text().partition("accounts {")
    return (
        f"{before}accounts {{\n  BUTLER {{\n    jetstream: enabled\n"
        f"    users = [\n{users}\n      {{ nkey: {key('admin')} }}\n    ]\n  }}\n"
        f"  SYSTEM {{ users = [ {{ nkey: {key(SYSTEM)} }} ] }}\n}}\nsystem_account: SYSTEM\n"
    )


@asynccontextmanager
async def running_one_account(processes: Processes, directory: Path) -> AsyncIterator[Nats]:
    """Run a bus on which all users share one account."""
    async with running_nats(processes, directory) as bus:
        bus.write(one_account(bus))
        await processes.restart(bus.program)
        await until_it_accepts(processes, bus)
        yield bus
