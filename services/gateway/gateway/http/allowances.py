"""The header fields of rate limits, of draft-ietf-httpapi-ratelimit-headers. Pure."""

from collections.abc import Sequence

from gateway.limits import Allowance


def rate_limit_fields(allowances: Sequence[Allowance]) -> dict[str, str]:
    """Return the header fields with the policies and their remaining quotas."""
    policies = [each.policy for each in allowances]
    return {
        "RateLimit-Policy": ", ".join(f'"{by.name}";q={by.quota};w={by.window}' for by in policies),
        "RateLimit": ", ".join(f'"{each.policy.name}";r={each.left};t={each.reset}' for each in allowances),
    }
