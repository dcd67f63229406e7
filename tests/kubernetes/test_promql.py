"""The reader of PromQL finds each metric and label."""

import pytest

from tests.kubernetes.promql import asked


@pytest.mark.parametrize(
    ("expression", "metrics", "grouping"),
    [
        ("max(a_seconds) > 60", {"a_seconds": set()}, set()),
        ('sum by (x, y) (rate(a{l="1", k=~"(b|c){2}"}[5m]))', {"a": {"l", "k"}}, {"x", "y"}),
        (
            "sum by (x) (a) / on (x) group_left sum by (x) (b) > 0.05 and absent(up{p='{q}'})",
            {"a": set(), "b": set(), "up": {"p"}},
            {"x"},
        ),
        (
            'max(a) - min_over_time(max(a{l!=""})[1h:1m]) > 14.4 * 0.001 or rule:of:ours5m - time() < 1e3',
            {"a": {"l"}, "rule:of:ours5m": set()},
            set(),
        ),
        (
            'histogram_quantile(0.99, sum by (le) (rate(a_bucket{n="x"}[$__rate_interval])))',
            {"a_bucket": {"n"}},
            {"le"},
        ),
    ],
)
def test_an_expression_is_read(expression: str, metrics: dict[str, set[str]], grouping: set[str]) -> None:
    """Functions, numbers, texts and ranges are no metrics."""
    found = asked(expression)

    assert (found.metrics, found.grouping) == (metrics, grouping)
