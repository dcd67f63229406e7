"""The vault-broker put together: bus, vault, handlers and health, from start to graceful stop."""

import asyncio
import time
from datetime import UTC, datetime

from contracts.bus.connect import Bus
from contracts.operations.collecting import collect
from contracts.operations.health import Checks, health_application, running
from contracts.operations.serve import run_service
from vault_broker.credentials import Credentials
from vault_broker.handlers import Handlers
from vault_broker.login import Login
from vault_broker.settings import Settings
from vault_broker.vault import Vault


def utc_now() -> datetime:
    """Give the time of this machine."""
    return datetime.now(UTC)


async def run(settings: Settings) -> int:
    """Run until SIGTERM and give the exit code: 1 when a part ended that must not."""
    vault = Vault(settings.vault_address, settings.vault_ca_file)
    login = Login(vault, settings.role_id_file, settings.secret_id_file, time.monotonic)
    bus = Bus("vault-broker", "broker", settings.running.nats_url, settings.running.nats_seed)
    Handlers(Credentials(login), settings.gateway_key, utc_now).declare(bus)
    stopping = asyncio.Event()
    checks = Checks({"running": running(stopping), **bus.checks(), "vault": login.ready})
    parts = {"vault": login.keep(), "metrics": collect(checks)}
    try:
        return await run_service(bus, health_application(checks), settings.running.address, parts, stopping)
    finally:
        vault.close()
