"""The simulator's checks accept the exchange's published signatures."""

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.simulator.binance.keys import Key


@pytest.fixture(name="vectors")
def _vectors(facts: Path) -> Any:
    return json.loads((facts / "data" / "test-vectors.json").read_text())["binance"]


def test_every_vector_is_accepted(client: Any, vectors: Any) -> None:
    """Query and body enter the signature as they are sent, percent-encoded; hex may have any case."""
    key = Key(vectors["api_key"], client.accounts["plain"], {}, 0, secret=vectors["secret"])
    published = [*vectors["published"], *vectors["rest"], vectors["ws_api_session_logon"]]

    for vector in published:
        payload = vector["payload"].encode()

        assert key.signed(payload, vector["signature"]), vector["payload"]
        assert key.signed(payload, vector["signature"].upper())
        assert not key.signed(payload + b"0", vector["signature"])
