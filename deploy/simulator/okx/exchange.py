"""OKX without its sockets: requests to responses."""

from typing import Self

from deploy.simulator.limits import Limiter
from deploy.simulator.okx.accounts import Account, Accounts, Region
from deploy.simulator.okx.checks import ACCOUNT_CHECKS, KEY, REQUEST_CHECKS
from deploy.simulator.okx.endpoints import PATHS, PRIVATE, PUBLIC, PrivateEndpoint, PublicEndpoint
from deploy.simulator.okx.market import Inquiry
from deploy.simulator.okx.payloads import Question
from deploy.simulator.okx.refusals import REFUSALS, Refused
from deploy.simulator.okx.rows import Row
from deploy.simulator.types import Answer, Request, Upkeep


class Okx:
    """Answers requests for its accounts; its counters last as long as the process."""

    key = "okx"
    regions = tuple(Region)
    hosts = ("",)
    paths = PATHS
    public = frozenset(path for _, path in PUBLIC)
    refusals = REFUSALS

    def __init__(self, accounts: Accounts, limiter: Limiter) -> None:
        self._kept = accounts
        self._limiter = limiter
        self.accounts = accounts.names
        self._upkeeps: dict[str, Upkeep] = {}

    def answer(self, request: Request, shown: str | None = None) -> Answer:
        """Answer as the real exchange does, including refusals; `shown` answers with that account's data."""
        try:
            return Answer(200, {"code": "0", "data": self._rows(request, shown), "msg": ""})
        except Refused as refused:
            return Answer(refused.status, refused.body)

    def refuse(self, request: Request, code: str, status: int | None) -> Answer:
        """Refuse with a code, and with its usual status if `status` is None."""
        refused = Refused(code, request.address, request.address, status=status)
        return Answer(refused.status, refused.body)

    def asker(self, request: Request) -> str | None:
        """Return the account of a request's key."""
        account = self._kept.find(request.region, request.headers.get(KEY, ""))
        return account.name if account else None

    def without_bursts(self) -> Self:
        """Return the same exchange with evenly spread limits and new counters."""
        return type(self)(self._kept, Limiter(strict=True))

    def maintain(self, region: str, upkeep: Upkeep | None) -> None:
        """Begin a maintenance of a region, or end it."""
        if upkeep is None:
            self._upkeeps.pop(region, None)
        else:
            self._upkeeps[region] = upkeep

    def _maintained(self, request: Request) -> Upkeep | None:
        upkeep = self._upkeeps.get(request.region)
        return upkeep if upkeep is not None and request.received_at < upkeep.end else None

    def _rows(self, request: Request, shown: str | None) -> list[Row]:
        place = (request.method, request.path)
        if public := PUBLIC.get(place):
            return self._public(public, request)
        if private := PRIVATE.get(place):
            return self._private(private, request, shown)
        raise Refused("50115" if request.path in PATHS else "404")

    def _public(self, endpoint: PublicEndpoint, request: Request) -> list[Row]:
        if not self._limiter.admit((request.address, request.path), endpoint.limit, request.received_at):
            raise Refused("50011")
        upkeep = self._maintained(request)
        return endpoint.rows(Inquiry(request.query, request.received_at, self._kept.prices, upkeep))

    def _private(self, endpoint: PrivateEndpoint, request: Request, shown: str | None) -> list[Row]:
        if self._maintained(request):
            raise Refused("50001")
        account = self._authenticated(request)
        if endpoint.permission not in account.permissions:
            raise Refused("50120")
        if not self._limiter.admit((account.uid, request.path), endpoint.limit, request.received_at):
            raise Refused("50011")
        account = self._kept[shown] if shown else account
        return endpoint.rows(
            Question(account, request.query, request.received_at, self._kept.prices, self._below(account))
        )

    def _below(self, account: Account) -> tuple[Account, ...]:
        return tuple(
            each
            for each in self._kept.accounts
            if each.main_uid == account.uid != each.uid and each.region == account.region
        )

    def _authenticated(self, request: Request) -> Account:
        """Return the account of a request that passes every check; raises Refused of the first failed one."""
        for check in REQUEST_CHECKS:
            check(request)
        account = self._kept.find(request.region, request.headers[KEY])
        if account is None:
            raise Refused("50119")
        for check_account in ACCOUNT_CHECKS:
            check_account(request, account)
        return account
