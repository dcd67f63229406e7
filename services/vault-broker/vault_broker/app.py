"""Assemble the vault-broker: bus, vault, handlers and health, from start to graceful shutdown."""

import asyncio
import time
from contextlib import suppress
from functools import partial

from chassis.bus.connection import Bus
from chassis.bus.contact import Contact
from chassis.certificates import Certificates
from chassis.clocks import DISAGREES, Clocks
from chassis.health import Checks, health_application, running
from chassis.metrics import note_key
from chassis.sampling import collect
from chassis.serve import Listener, run_service
from contracts.wire.bus_users import BROKER_ASKS
from vault_broker.credentials import Credentials
from vault_broker.errors import VaultAnswer, VaultUnavailable
from vault_broker.handlers import Handlers
from vault_broker.settings import Settings
from vault_broker.vault import Vault
from vault_broker.vault_login import Login

VAULT = "vault"
# Clocks under NTP differ by less. The gateway's STORED_WITHIN_SECONDS depends on it.
STORE_LATENESS = 12.0


async def run(settings: Settings) -> int:
    """Run until SIGTERM and return the exit code: 1 if a part ended unexpectedly."""
    clocks = Clocks()
    vault = Vault(settings.vault_address, settings.vault_ca_file, partial(clocks.note, VAULT))
    login = Login(vault, settings.login, time.monotonic)
    bus = Bus.of("vault-broker", "broker", settings.running)
    credentials = Credentials(login)
    Handlers(credentials, settings.gateway_keys, clocks.now, clocks.disagree, STORE_LATENESS).declare(bus)
    note_key("nkey", settings.running.nkey_made)
    note_key("grant", settings.gateway_keys.made, len(settings.gateway_keys.keys))
    certificates = Certificates({**settings.running.certificates, "VAULT_CACERT": settings.vault_ca_file})
    stopping = asyncio.Event()
    contact = Contact(bus, BROKER_ASKS)
    required = {"running": running(stopping), **bus.checks(), **contact.checks(), "vault": login.ready}
    # A single other clock cannot prove which of the two is wrong.
    checks = Checks(required, {DISAGREES: clocks.agree})
    # Each response of the vault has its time, so no clock needs a request of its own.
    parts = {
        "vault": login.keep(),
        "metrics": collect(checks, certificates.sample, partial(_note_keys, credentials, login)),
        "clocks": clocks.keep({}),
        "contact": contact.keep(),
    }
    try:
        operations = Listener(health_application(checks), settings.running.operations)
        return await run_service(bus, [operations], parts, stopping)
    finally:
        vault.close()


async def _note_keys(credentials: Credentials, login: Login) -> None:
    """Show the ages of the vault's keys; a last known age stays while the vault is not available."""
    with suppress(VaultUnavailable):
        keys = await credentials.sealing_keys()
        note_key("sealing", keys.made, keys.live)
    with suppress(VaultAnswer, VaultUnavailable):
        engines = await credentials.engines()
        note_key("wrapping", engines.created.get("wrapping"))
        note_key("seal", engines.created.get("seal"))
    if login.made is not None:
        note_key("login", login.made)
