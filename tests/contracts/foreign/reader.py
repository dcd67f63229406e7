"""Runs readers of our contracts that others wrote; `make test` installs them from npm."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

MODULES = Path(sys.prefix) / "npm" / "node_modules"
SECONDS = 120


def read_by(reader: str, said: Any) -> Any:
    """Return what a reader of this folder (`asyncapi`, `cloudevents`) says of a JSON value."""
    node = shutil.which("node")
    if node is None or not MODULES.is_dir():
        pytest.skip("needs Node with npm, and `make test`, which installs the readers")
    answer = subprocess.run(
        [node, Path(__file__).with_name(f"{reader}.cjs")],
        input=json.dumps(said).encode(),
        env={**os.environ, "NODE_PATH": str(MODULES)},
        capture_output=True,
        timeout=SECONDS,
        check=True,
    )
    return json.loads(answer.stdout)
