"""Limits for tests."""

import msgspec

from gateway.limits import Limits, Policy

SEVERAL = {"register", "submissions"}
NAMES = set(Limits.__struct_fields__) - SEVERAL


def allowing(quota: int = 100, **quotas: int) -> Limits:
    """Allow `quota` for each policy, or the number named; `SEVERAL` have no limit unless named."""
    policies = {name: Policy(name, quotas.get(name, quota)) for name in NAMES}
    several = {name: (Policy(name, quotas[name]),) if name in quotas else () for name in SEVERAL}
    return msgspec.convert(policies | several, Limits)
