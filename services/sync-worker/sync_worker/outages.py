"""The number of redeliveries of requests because a part of ours was unavailable. Pure."""

from collections import OrderedDict

# The number of messages that the bus delivers at once.
MAX_MESSAGES = 4096


class Outages:
    """Counts the redeliveries of each message that do not use up its tries at the exchange.

    Only this process knows them: another one that gets the message counts all redeliveries as tries.
    """

    def __init__(self) -> None:
        self._counts: OrderedDict[str, int] = OrderedDict()

    def of(self, message_id: str) -> int:
        """Return the count of a message."""
        return self._counts.get(message_id, 0)

    def add(self, message_id: str) -> None:
        """Count one more; above the limit, drop the message that was counted longest ago."""
        self._counts[message_id] = self._counts.pop(message_id, 0) + 1
        if len(self._counts) > MAX_MESSAGES:
            self._counts.popitem(last=False)

    def forget(self, message_id: str) -> None:
        """Drop the count of a handled message."""
        self._counts.pop(message_id, None)
