"""Refused tokens can not fill the audit, from however many addresses they come."""

import pytest

from contracts.operators import Role
from deploy.local.postgres import SUPERUSER, Postgres
from gateway.errors import OperatorUnknown
from gateway.limits import Policy
from gateway.operators.access import AUDITED, Access
from gateway.store.pool import Pool


async def test_refusals_of_many_addresses_are_audited_within_bounds(
    pool: Pool, clean_database: Postgres
) -> None:
    """Each address has its own count, and all of them together have 60 lines a minute."""
    access = Access(pool, Policy("login", 1))
    for number in range(AUDITED.quota + 5):
        with pytest.raises(OperatorUnknown):
            await access.enter("x", f"192.0.2.{number}", Role.VIEWER)

    async with await clean_database.connect(SUPERUSER) as connection:
        rows = await connection.execute("select count(*) from operator_acts")
        assert await rows.fetchone() == (AUDITED.quota,)
