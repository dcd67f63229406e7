"""Requests that wait for outcomes: woken by an announcement, with one poll a second as the truth."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from uuid import UUID

import structlog

from gateway.errors import TooBusy
from gateway.outbox.wake import Wake
from gateway.places import Places
from gateway.store import syncs
from gateway.store.pool import DatabaseUnavailable, Pool

POLL_SECONDS = 1.0

log = structlog.get_logger()


class Waiters:
    """Who waits for which sync in this process; no database connection is held while waiting."""

    def __init__(self, pool: Pool, stopping: asyncio.Event, at_once: int) -> None:
        self._pool = pool
        self._stopping = stopping
        self._bell = Wake()
        self._places = Places(at_once)
        self._waiting: defaultdict[UUID, set[asyncio.Event]] = defaultdict(set)

    async def wait(self, client: UUID, sync_ids: Iterable[UUID], seconds: float) -> None:
        """Wait until all the syncs ended, the time is over, or the process is told to stop.

        Not at all when too many wait already: a wait that is cut short loses nothing.
        """
        with suppress(TooBusy), self._places.taken(str(client)):
            await self._wait(sync_ids, seconds)

    async def _wait(self, sync_ids: Iterable[UUID], seconds: float) -> None:
        events = {sync_id: asyncio.Event() for sync_id in sync_ids}
        for sync_id, event in events.items():
            self._waiting[sync_id].add(event)
        self._bell.ring()  # what ended before anybody waited is announced no more
        waits = [
            asyncio.ensure_future(self._all(events.values())),
            asyncio.ensure_future(self._stopping.wait()),
        ]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            self._forget(events)

    def wake(self, sync_id: UUID) -> None:
        """Let those go on who wait for a sync that ended."""
        for event in self._waiting.get(sync_id, ()):
            event.set()

    async def poll(self) -> None:
        """Ask the database once a second and for each who begins to wait, in one batch, which syncs ended."""
        while True:
            await self._bell.wait(POLL_SECONDS)
            if self._waiting:
                try:
                    await self._poll_once()
                except DatabaseUnavailable:
                    continue
                except Exception:
                    log.exception("poll_failed")

    async def _poll_once(self) -> None:
        async with self._pool.transaction() as connection:
            for sync_id in await syncs.ended(connection, list(self._waiting)):
                self.wake(sync_id)

    async def _all(self, events: Iterable[asyncio.Event]) -> None:
        for event in events:
            await event.wait()

    def _forget(self, events: dict[UUID, asyncio.Event]) -> None:
        for sync_id, event in events.items():
            self._waiting[sync_id].discard(event)
            if not self._waiting[sync_id]:
                del self._waiting[sync_id]
