"""How often requests came back because a part of ours was away. Pure."""

from collections import OrderedDict

# As many as the bus hands over at once.
MAX_MESSAGES = 4096


class Outages:
    """Counts the returns of each message that use up none of its tries at the exchange.

    Only this process knows them: another one that is handed the message counts all of its returns as tries.
    """

    def __init__(self) -> None:
        self._counts: OrderedDict[str, int] = OrderedDict()

    def of(self, message_id: str) -> int:
        """Give how often a message came back so."""
        return self._counts.get(message_id, 0)

    def add(self, message_id: str) -> None:
        """Count one more; the message that was counted longest ago is forgotten when there are too many."""
        self._counts[message_id] = self._counts.pop(message_id, 0) + 1
        if len(self._counts) > MAX_MESSAGES:
            self._counts.popitem(last=False)

    def forget(self, message_id: str) -> None:
        """Drop a message that is done with."""
        self._counts.pop(message_id, None)
