"""Authentication of operators: checks tokens, and counts and audits refused ones."""

import hmac
from uuid import UUID

import msgspec

from contracts.operators import OperatorToken, Role, read_token
from gateway.errors import OperatorUnknown, RoleTooSmall
from gateway.limits import Policy, client_network
from gateway.quotas import admit
from gateway.store import limits, operators
from gateway.store.operators import Act, Acting, Operator
from gateway.store.pool import Connection, Pool

# The audit of refusals is bounded also where they come from many addresses.
AUDITED = Policy("operator-audit", 60)
EVERYWHERE = "all"
UNKNOWN_HASH = bytes(32)


class Access:
    """Finds the operator of a token. `failures` is the limit of refused tokens of one client address.

    A valid token is never refused for the failures of others, because 256 random bits can not be guessed.
    """

    def __init__(self, pool: Pool, failures: Policy) -> None:
        self._pool = pool
        self._failures = msgspec.structs.replace(failures, name="operator", shared=True)

    async def enter(self, text: str, address: str | None, needed: Role) -> Acting:
        """Return the operator of a token; raises OperatorUnknown, RoleTooSmall and RateLimitExceeded."""
        token = read_token(text)
        async with self._pool.transaction() as connection:
            operator = await _found(connection, token)
            if operator is not None:
                await operators.mark_used(connection, operator.id)
        if operator is None:
            await self._refuse(address, token.operator_id if token else None)
            raise OperatorUnknown
        acting = Acting(operator, address)
        if needed is Role.OPERATOR and operator.role is not Role.OPERATOR:
            await self._refuse_act(acting)
            raise RoleTooSmall
        return acting

    async def _refuse(self, address: str | None, operator_id: UUID | None) -> None:
        async with self._pool.transaction() as connection:
            await admit(connection, [(self._failures, client_network(address))])
            if await _may_audit(connection):
                await operators.record_refused(connection, address, operator_id)

    async def _refuse_act(self, acting: Acting) -> None:
        async with self._pool.transaction() as connection:
            if await _may_audit(connection):
                await operators.record(connection, acting, Act.ACT_REFUSED)


async def _found(connection: Connection, token: OperatorToken | None) -> Operator | None:
    """Find the operator of a token; compares in the same time whether or not the id is known."""
    if token is None:
        return None
    operator = await operators.find(connection, token.operator_id)
    known = operator.token_hash if operator else UNKNOWN_HASH
    return operator if hmac.compare_digest(known, token.hash) else None


async def _may_audit(connection: Connection) -> bool:
    return not (await limits.take(connection, AUDITED, EVERYWHERE)).exceeded
