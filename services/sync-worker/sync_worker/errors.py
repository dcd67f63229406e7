"""What goes wrong at the edges of the worker, named by the fact."""

from contracts.faults import Code, PermanentError, TransientError


class ExchangeUnreachable(TransientError):
    """No connection to the exchange, or one that broke."""

    def __init__(self, detail: str) -> None:
        super().__init__(Code.EXCHANGE_UNREACHABLE, detail)


class ExchangeTimeout(TransientError):
    """The exchange did not answer in time, or not all of it."""

    def __init__(self, detail: str) -> None:
        super().__init__(Code.EXCHANGE_TIMEOUT, detail)


class UnexpectedResponse(PermanentError):
    """An answer that can not be what the exchange means to say of balances."""

    def __init__(self, detail: str) -> None:
        super().__init__(Code.UNEXPECTED_RESPONSE, detail)


class ClocksDisagree(TransientError):
    """A time that can not be, by our own clocks: the exchange has nothing to do with it."""

    def __init__(self, detail: str) -> None:
        super().__init__(Code.CLOCK_DISAGREES, detail)


class ContradictoryTotal(TransientError):
    """A wallet's list that is empty, or worth less or more, beside the exchange's own total."""

    def __init__(self, detail: str) -> None:
        super().__init__(Code.CONTRADICTORY_TOTAL, detail)
