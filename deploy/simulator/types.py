"""The interface between the exchanges of the simulator and its sockets, switches and faults."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol, Self
from urllib.parse import parse_qsl


class Origin(NamedTuple):
    """A region of an exchange, with the host if the region has several."""

    exchange: str
    region: str
    host: str = ""

    @property
    def name(self) -> str:
        """The name in settings: the region, followed by the host."""
        return f"{self.region}_{self.host}" if self.host else self.region


@dataclass(frozen=True, slots=True)
class Request:
    """A request as received: the target is raw, the header names are lower case."""

    region: str
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    address: str
    received_at: datetime
    host: str = ""

    def __repr__(self) -> str:
        return f"Request({self.method} {self.target} at {self.region}, headers=***)"

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        """The decoded query."""
        return dict(parse_qsl(self.target.partition("?")[2]))


class Answer(NamedTuple):
    """HTTP status, JSON body, and headers in addition to those of every response."""

    status: int
    body: Any
    headers: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Upkeep:
    """A maintenance of one region until its end; with `announced` the exchange's status tells of it."""

    begin: datetime
    end: datetime
    announced: bool = True


class Exchange(Protocol):
    """One exchange without its sockets: requests to responses.

    `key` and `regions` are those of its catalogue entry, `hosts` are the hosts of a region with several,
    `accounts` its accounts. Those of its `paths` that are in `public` need no key. `refusals` has the HTTP
    statuses of each error code, the usual one first.
    """

    key: str
    regions: tuple[str, ...]
    hosts: tuple[str, ...]
    accounts: Collection[str]
    paths: Collection[str]
    public: Collection[str]
    refusals: Mapping[str, Collection[int]]

    def answer(self, request: Request, shown: str | None = None) -> Answer:
        """Answer as the real exchange does, including refusals; `shown` answers with that account's data."""

    def refuse(self, request: Request, code: str, status: int | None) -> Answer:
        """Refuse with a code, and with its usual status if `status` is None."""

    def asker(self, request: Request) -> str | None:
        """Return the account of a request's key."""

    def without_bursts(self) -> Self:
        """Return the same exchange with evenly spread limits and new counters."""

    def maintain(self, region: str, upkeep: Upkeep | None) -> None:
        """Begin a maintenance of a region, or end it; raises ValueError for an exchange that has none."""
