"""Requests that wait for outcomes: an announcement wakes them, and a poll every second finds missed ends."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from uuid import UUID

import structlog

from gateway.errors import TooBusy
from gateway.outbox.wake import Wake
from gateway.places import Places
from gateway.rows.syncs import Sync
from gateway.store import syncs
from gateway.store.pool import DatabaseUnavailable, Pool

POLL_SECONDS = 1.0
REMEMBERED = 1024

log = structlog.get_logger()


class Waiters:
    """The requests in this process that wait for syncs; waiting holds no database connection."""

    def __init__(self, pool: Pool, stopping: asyncio.Event, at_once: int) -> None:
        self._pool = pool
        self._stopping = stopping
        self._bell = Wake()
        self._places = Places(at_once)
        self._waiting: defaultdict[UUID, set[asyncio.Event]] = defaultdict(set)
        # Ends that became known lately, because a wait may begin only after them; the oldest goes first.
        self._ended: dict[UUID, Sync | None] = {}

    async def wait(
        self, client: UUID, sync_ids: Iterable[UUID], seconds: float, *, new: bool = False
    ) -> None:
        """Wait until all the syncs have ended, the time is over, or the process shuts down.

        The end of a `new` sync, which this process has just opened, is still to be announced. Return at once
        if too many requests wait already: a shorter wait loses no data.
        """
        with suppress(TooBusy), self._places.taken(str(client)):
            await self._wait(sync_ids, seconds, new=new)

    async def _wait(self, sync_ids: Iterable[UUID], seconds: float, *, new: bool) -> None:
        events = {sync_id: asyncio.Event() for sync_id in sync_ids}
        for sync_id, event in events.items():
            self._waiting[sync_id].add(event)
            if sync_id in self._ended:
                event.set()
        if not new:
            self._bell.ring()  # an end before this wait is not announced again
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

    def ended(self, sync_id: UUID) -> Sync | None:
        """Return a sync that this process ended lately; None if another one did, or it is not known here."""
        return self._ended.get(sync_id)

    def wake(self, sync_id: UUID, sync: Sync | None = None) -> None:
        """Wake the requests that wait for an ended sync, and those that begin to wait soon.

        `sync` is given by the process that ended it.
        """
        if sync is not None or sync_id not in self._ended:
            self._ended[sync_id] = sync
        if len(self._ended) > REMEMBERED:
            del self._ended[next(iter(self._ended))]
        for event in self._waiting.get(sync_id, ()):
            event.set()

    async def poll(self) -> None:
        """Query the ended syncs in one batch, once a second and whenever a wait begins."""
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
        waiting = list(self._waiting)
        for sync_id in await self._pool.single(lambda connection: syncs.ended(connection, waiting)):
            self.wake(sync_id)

    async def _all(self, events: Iterable[asyncio.Event]) -> None:
        for event in events:
            await event.wait()

    def _forget(self, events: dict[UUID, asyncio.Event]) -> None:
        for sync_id, event in events.items():
            self._waiting[sync_id].discard(event)
            if not self._waiting[sync_id]:
                del self._waiting[sync_id]
