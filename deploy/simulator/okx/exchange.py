"""The exchange without its sockets: a request goes in, an answer comes out."""

from typing import Any, NamedTuple

from deploy.simulator.accounts import Account, Accounts
from deploy.simulator.checks import ACCOUNT_CHECKS, KEY, REQUEST_CHECKS, Request
from deploy.simulator.endpoints import PATHS, PRIVATE, PUBLIC, PrivateEndpoint, PublicEndpoint
from deploy.simulator.limits import Limiter
from deploy.simulator.payloads import Question
from deploy.simulator.refusals import Refused
from deploy.simulator.rows import Row


class Answer(NamedTuple):
    """HTTP status and JSON body."""

    status: int
    body: dict[str, Any]


class Exchange:
    """Answers requests for its accounts; what it counts lives as long as the process."""

    def __init__(self, accounts: Accounts, limiter: Limiter) -> None:
        self.accounts = accounts
        self._limiter = limiter

    def answer(self, request: Request, shown: Account | None = None) -> Answer:
        """Answer as the real exchange does, refusals included; with `shown` by the data of that account."""
        try:
            return Answer(200, {"code": "0", "data": self._rows(request, shown), "msg": ""})
        except Refused as refused:
            return Answer(refused.status, refused.body)

    def _rows(self, request: Request, shown: Account | None) -> list[Row]:
        place = (request.method, request.path)
        if public := PUBLIC.get(place):
            return self._public(public, request)
        if private := PRIVATE.get(place):
            return self._private(private, request, shown)
        raise Refused("50115" if request.path in PATHS else "404")

    def _public(self, endpoint: PublicEndpoint, request: Request) -> list[Row]:
        if not self._limiter.admit((request.address, request.path), endpoint.limit, request.received_at):
            raise Refused("50011")
        return endpoint.rows(request.received_at)

    def _private(self, endpoint: PrivateEndpoint, request: Request, shown: Account | None) -> list[Row]:
        account = self._authenticated(request)
        if endpoint.permission not in account.permissions:
            raise Refused("50120")
        if not self._limiter.admit((account.uid, request.path), endpoint.limit, request.received_at):
            raise Refused("50011")
        question = Question(shown or account, request.query, request.received_at, self.accounts.prices)
        return endpoint.rows(question)

    def _authenticated(self, request: Request) -> Account:
        """Give the account of a request that passes every check; raises Refused with the first that fails."""
        for check in REQUEST_CHECKS:
            check(request)
        account = self.accounts.find(request.region, request.headers[KEY])
        if account is None:
            raise Refused("50119")
        for check_account in ACCOUNT_CHECKS:
            check_account(request, account)
        return account
