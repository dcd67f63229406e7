"""How often requests came back because a part of ours was away. Pure."""

from collections import OrderedDict
from uuid import UUID

# As many as the bus hands over at once.
MAX_SYNCS = 4096


class Outages:
    """Counts the returns of each sync that use up none of its tries at the exchange.

    Only this process knows them: another one that is handed the request counts all of its returns as tries.
    """

    def __init__(self) -> None:
        self._counts: OrderedDict[UUID, int] = OrderedDict()

    def of(self, sync_id: UUID) -> int:
        """Give how often a sync came back so."""
        return self._counts.get(sync_id, 0)

    def add(self, sync_id: UUID) -> None:
        """Count one more; the sync that was counted longest ago is forgotten when there are too many."""
        self._counts[sync_id] = self._counts.pop(sync_id, 0) + 1
        if len(self._counts) > MAX_SYNCS:
            self._counts.popitem(last=False)

    def forget(self, sync_id: UUID) -> None:
        """Drop a sync that has its outcome."""
        self._counts.pop(sync_id, None)
