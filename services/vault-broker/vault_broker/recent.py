"""Records of credentials that this process has just read: kept in memory for seconds, never a secret.

A destroyed credential signs nothing meanwhile, because the vault has deleted its key. A record is written
once, and a replaced credential has another id, so no record that is kept is out of date.
"""

import asyncio
from collections import OrderedDict
from typing import Generic, TypeVar
from uuid import UUID

KEPT_SECONDS = 10.0
MAX_KEPT = 4096
# A record leaves the memory up to so many seconds after its time, because a timer for each would cost 0.4 ms.
DROP_EVERY = 1.0

Record = TypeVar("Record")


class Recent(Generic[Record]):
    """At most `most` records, each found for `seconds`; the oldest makes room for a new one."""

    def __init__(self, seconds: float = KEPT_SECONDS, most: int = MAX_KEPT) -> None:
        self._seconds = seconds
        self._most = most
        # In the order of their ends.
        self._records: OrderedDict[UUID, tuple[float, Record]] = OrderedDict()
        self._dropping: asyncio.TimerHandle | None = None

    def find(self, credential_id: UUID) -> Record | None:
        """Return the record, None if it is not kept or its time is over."""
        ends, record = self._records.get(credential_id, (0.0, None))
        return record if asyncio.get_running_loop().time() < ends else None

    def keep(self, credential_id: UUID, record: Record) -> None:
        """Keep a record from now on."""
        self.forget(credential_id)
        while len(self._records) >= self._most:
            self._records.popitem(last=False)
        loop = asyncio.get_running_loop()
        self._records[credential_id] = (loop.time() + self._seconds, record)
        if self._dropping is None:
            self._dropping = loop.call_later(self._seconds, self._drop)

    def forget(self, credential_id: UUID) -> None:
        """Drop a record."""
        self._records.pop(credential_id, None)

    def __len__(self) -> int:
        return len(self._records)

    def _drop(self) -> None:
        """Drop the records whose time is over, also while nothing is signed."""
        loop = asyncio.get_running_loop()
        now, self._dropping = loop.time(), None
        while self._records:
            credential_id, (ends, _) = next(iter(self._records.items()))
            if now < ends:
                self._dropping = loop.call_at(max(ends, now + DROP_EVERY), self._drop)
                return
            del self._records[credential_id]
