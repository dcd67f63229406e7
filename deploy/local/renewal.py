"""Replaces the certificates of the running stack before they end; no program is restarted.

NATS and OpenBao read theirs again at SIGHUP, a service at its next connection.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from signal import SIGHUP

from deploy.local.certificates import RENEWED, Validity
from deploy.local.openbao import server_certificate
from deploy.local.processes import Processes
from deploy.local.services import Infrastructure, renew_files

CHECKS_BEFORE_END = 10
MAX_PAUSE_SECONDS = 3600.0

Tell = Callable[[str], None]


def renew(processes: Processes, parts: Infrastructure, tell: Tell, validity: Validity = RENEWED) -> None:
    """Replace the certificates that end soon, and have their programs read them; raises OSError."""
    # Locked, because `subscriber add` makes certificates, too.
    with parts.nats.registry.held() as subscribers:
        changed = parts.nats.identify(subscribers, validity)
    renew_files(parts, processes.way)
    if changed:
        processes.send_signal(parts.nats.program.name, SIGHUP)
        tell("the certificate of NATS was replaced")
    if server_certificate(processes.way, parts.directory, validity).replaced:
        processes.send_signal("openbao", SIGHUP)
        tell("the certificate of OpenBao was replaced")


@asynccontextmanager
async def renewing(
    processes: Processes, parts: Infrastructure, tell: Tell, validity: Validity = RENEWED
) -> AsyncIterator[None]:
    """Renew until the end of the block, every hour."""
    pause = min(validity.renewed_before_end.total_seconds() / CHECKS_BEFORE_END, MAX_PAUSE_SECONDS)

    async def run() -> None:
        while True:
            await asyncio.sleep(pause)
            try:
                await asyncio.to_thread(renew, processes, parts, tell, validity)
            except OSError as error:  # a full disk, for example
                tell(f"certificates could not be replaced: {error}")

    task = asyncio.create_task(run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
