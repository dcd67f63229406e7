"""The simulator's signatures are the exchange's."""

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.simulator.okx.checks import sign


@pytest.fixture(name="vectors")
def _vectors(facts: Path) -> Any:
    return json.loads((facts / "data" / "test-vectors.json").read_text())["okx"]


def test_every_rest_vector_is_reproduced(vectors: Any) -> None:
    """Method, raw target and body enter the signature as they are sent."""
    for vector in vectors["rest"]:
        body = vector["body"].encode()

        made = sign(vectors["secret"], vectors["timestamp"], vector["method"], vector["request_target"], body)

        assert vector["sign"] == made, vector["request_target"]


def test_vectors_that_others_published_are_reproduced(vectors: Any) -> None:
    """Two other projects publish example signatures; ours are equal."""
    for vector in vectors["third_party"]:
        timestamp, _, target = vector["prehash"].partition("GET")

        assert vector["sign"] == sign(vector["secret"], timestamp, "GET", target), vector["source"]
