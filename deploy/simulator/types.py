"""What the sockets, switches and faults of the simulator ask of every exchange, and what they tell it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol, Self
from urllib.parse import parse_qsl


class Origin(NamedTuple):
    """A region of an exchange, and which of its hosts where it has several."""

    exchange: str
    region: str
    host: str = ""

    @property
    def name(self) -> str:
        """Name it as settings do: the region, with the host after it."""
        return f"{self.region}_{self.host}" if self.host else self.region


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came over the wire: the target is raw, the header names are lower case."""

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
    """HTTP status, JSON body, and headers beside those that every answer has."""

    status: int
    body: Any
    headers: Mapping[str, str] = {}


class Exchange(Protocol):
    """One exchange without its sockets: a request goes in, an answer comes out.

    `key` and `regions` are those of its catalogue entry, `hosts` names the hosts of a region where there are
    several, and `accounts` its accounts. Of its `paths` those in `public` are asked without a key.
    `refusals` has the HTTP statuses that each of its error codes can come with, the usual one first.
    """

    key: str
    regions: tuple[str, ...]
    hosts: tuple[str, ...]
    accounts: Collection[str]
    paths: Collection[str]
    public: Collection[str]
    refusals: Mapping[str, Collection[int]]

    def answer(self, request: Request, shown: str | None = None) -> Answer:
        """Answer as the real exchange does, refusals included; with `shown` by the data of that account."""

    def refuse(self, request: Request, code: str, status: int | None) -> Answer:
        """Refuse with a code, with its usual status where none is told."""

    def asker(self, request: Request) -> str | None:
        """Name the account whose key a request carries."""

    def without_bursts(self) -> Self:
        """Give the same exchange with limits that are spread evenly, and that has counted nothing yet."""
