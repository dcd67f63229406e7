"""The vault-broker put together: bus, vault, handlers and health, from start to graceful stop."""

import asyncio
import time
from datetime import UTC, datetime

import structlog

from contracts.bus.connect import Bus
from contracts.operations.health import health_application
from contracts.operations.serve import serve
from vault_broker.credentials import Credentials
from vault_broker.handlers import Handlers
from vault_broker.login import Login
from vault_broker.settings import Settings
from vault_broker.vault import Vault

log = structlog.get_logger()


def utc_now() -> datetime:
    """Give the time of this machine."""
    return datetime.now(UTC)


async def run(settings: Settings) -> int:
    """Run until SIGTERM and give the exit code: 1 when a part ended that must not."""
    vault = Vault(settings.vault_address, settings.vault_ca_file)
    login = Login(vault, settings.role_id_file, settings.secret_id_file, time.monotonic)
    bus = Bus("vault-broker", "broker", settings.nats_url, settings.nats_seed.reveal())
    Handlers(Credentials(login), settings.gateway_key, utc_now).declare(bus)
    health = health_application({"nats": bus.ready, "vault": login.ready})
    stopping = asyncio.Event()
    serving = asyncio.create_task(serve(health, settings.listen_host, settings.port, stopping), name="health")
    keeping = asyncio.create_task(login.keep(), name="vault")
    connected = asyncio.create_task(_stay_connected(bus), name="nats")
    parts = {serving, keeping, connected}
    ended, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
    lost = [part for part in ended if part is not serving or part.exception()]
    for part in lost:
        log.error("part_lost", part=part.get_name(), exc_info=part.exception())
    stopping.set()
    connected.cancel()
    await bus.stop()
    keeping.cancel()
    await asyncio.wait(parts)
    vault.close()
    return 1 if lost else 0


async def _stay_connected(bus: Bus) -> None:
    """Connect and serve; raises BusUnavailable when the connection is over for good."""
    await bus.start()
    await bus.run()
