"""Binance without its sockets: requests to responses."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from deploy.simulator.binance.accounts import GLOBAL, Accounts
from deploy.simulator.binance.checks import KEY, Payload, authenticated, payload_of
from deploy.simulator.binance.endpoints import ENDPOINTS, HOSTS, PATHS, PUBLIC, Public, Signed, budget_of
from deploy.simulator.binance.keys import Keys
from deploy.simulator.binance.question import Inquiry, Question
from deploy.simulator.binance.refusals import REFUSALS, Refused
from deploy.simulator.binance.weights import Weights
from deploy.simulator.types import Answer, Request, Upkeep

UNIT = "x-mbx-time-unit"
STATUS = "/sapi/v1/system/status"


class Binance:
    """Answers requests for its accounts; its counters last as long as the process."""

    key = "binance"
    regions = (GLOBAL,)
    hosts = ("", *HOSTS)
    paths = PATHS
    public = PUBLIC
    refusals = REFUSALS

    def __init__(self, accounts: Accounts, weights: Weights, keys: Keys | None = None) -> None:
        self._kept = accounts
        self._weights = weights
        self._keys = keys or Keys(accounts)
        self.accounts = accounts.names
        self._upkeeps: dict[str, Upkeep] = {}

    def answer(self, request: Request, shown: str | None = None) -> Answer:
        """Answer as the real exchange does, including refusals; `shown` answers with that account's data."""
        try:
            endpoint = self._found(request)
            headers = self._spent(request, endpoint)
        except Refused as refused:
            return refused.answer
        try:
            return Answer(200, self._body(request, endpoint, shown), headers)
        except Refused as refused:
            return refused.answer._replace(headers=headers | refused.headers)

    def refuse(self, request: Request, code: str, status: int | None) -> Answer:
        """Refuse with a code, and with its usual status if `status` is None."""
        del request
        return Refused(code, "6000", "1 MINUTE", status=status).answer

    def asker(self, request: Request) -> str | None:
        """Return the account of a request's key."""
        key = self._keys.find(request.headers.get(KEY, ""))
        return key.account.name if key else None

    def upload(self, account: str, public_key: str, rights: Mapping[str, bool], now: datetime) -> str:
        """Take a public key as from the user of an account, and return its API key; raises ValueError."""
        return self._keys.upload(account, public_key, rights, now)

    def without_bursts(self) -> Self:
        """Return the same exchange with evenly spread limits and new counters."""
        return type(self)(self._kept, Weights(strict=True), self._keys)

    def maintain(self, region: str, upkeep: Upkeep | None) -> None:
        """Begin a maintenance of a region, or end it."""
        if upkeep is None:
            self._upkeeps.pop(region, None)
        else:
            self._upkeeps[region] = upkeep

    def _found(self, request: Request) -> Public | Signed:
        endpoint = ENDPOINTS.get((request.host, request.method, request.path))
        if endpoint is None:
            raise Refused("404")
        return endpoint

    def _spent(self, request: Request, endpoint: Public | Signed) -> dict[str, str]:
        weight = endpoint.weight
        weight = weight if isinstance(weight, int) else weight(request.query)
        budget = budget_of(request.host, request.path)
        return self._weights.spend(request.address, budget, weight, request.received_at)

    def _body(self, request: Request, endpoint: Public | Signed, shown: str | None) -> Any:
        upkeep = self._upkeeps.get(request.region)
        upkeep = upkeep if upkeep is not None and request.received_at < upkeep.end else None
        micro = request.headers.get(UNIT, "").upper() == "MICROSECOND"
        if isinstance(endpoint, Public):
            return endpoint.body(
                Inquiry(request.query, request.received_at, self._kept.prices, upkeep, micro)
            )
        if upkeep is not None:
            raise Refused("-1016")
        return endpoint.body(self._asked(request, endpoint, shown, micro=micro))

    def _asked(self, request: Request, endpoint: Signed, shown: str | None, *, micro: bool) -> Question:
        payload: Payload = payload_of(request)
        key = authenticated(request, payload, self._keys)
        if not all(key.rights.get(right) for right in endpoint.rights):
            raise Refused("-2015")
        account = self._kept[shown] if shown else key.account
        if endpoint.product not in {None, *account.products}:
            raise Refused("-2015")
        return Question(
            payload.parameters,
            request.received_at,
            self._kept.prices,
            micro=micro,
            key=key,
            shown=account,
        )
