"""Failures at the edges of the worker, named by the fact."""

from contracts.closures import MAINTENANCE, UNAVAILABLE
from contracts.faults import Code, PermanentError, TransientError


class ExchangeUnreachable(TransientError):
    """The connection to the exchange failed or broke."""

    def __init__(self, detail: str) -> None:
        super().__init__(Code.EXCHANGE_UNREACHABLE, detail)


class ExchangeTimeout(TransientError):
    """The exchange did not send a complete response in time."""

    def __init__(self, detail: str) -> None:
        super().__init__(Code.EXCHANGE_TIMEOUT, detail)


class UnexpectedResponse(PermanentError):
    """The response cannot be a valid one of the exchange."""

    def __init__(self, detail: str) -> None:
        super().__init__(Code.UNEXPECTED_RESPONSE, detail)


class HeldBack(TransientError):
    """We sent nothing, because a call would exceed a limit of the exchange for our address."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            Code.RATE_LIMITED, "We sent no request, to stay below the exchange's limit.", seconds
        )


class SignedTooLongAgo(HeldBack):
    """We did not send a signed read, because its turn came after its signature was to be used."""


class ExchangeClosed(TransientError):
    """We sent nothing, because the exchange is closed to all of us; `reason` is the closure's."""

    def __init__(self, reason: str, seconds: float) -> None:
        why = {
            MAINTENANCE: "the exchange says that it is in maintenance.",
            UNAVAILABLE: "the exchange refused the last requests of several accounts.",
        }.get(reason)
        words = f"We sent no request: {why}" if why else ""
        super().__init__(Code.EXCHANGE_UNAVAILABLE, words, seconds)


class ClocksDisagree(TransientError):
    """Our own clocks disagree on a time; the exchange is not the cause."""

    def __init__(self, detail: str) -> None:
        super().__init__(Code.CLOCK_DISAGREES, detail)


class ContradictoryTotal(TransientError):
    """A wallet's list is empty, or worth less or more than the exchange's own total."""

    def __init__(self, detail: str) -> None:
        super().__init__(Code.CONTRADICTORY_TOTAL, detail)
