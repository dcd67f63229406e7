"""The rules of the monitoring component, as promtool reads them."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local.monitoring import rule_groups

ALERTS = Path(__file__).parent / "alerts"
SECONDS = 60


def alerts() -> list[dict[str, Any]]:
    """Return all alerts."""
    return [rule for group in rule_groups() for rule in group["rules"] if "alert" in rule]


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run promtool; skips the test where it is not installed."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("needs promtool (apt-get install prometheus)")
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=SECONDS, check=False)


def judge(directory: Path, tests: list[dict[str, Any]]) -> None:
    """Let promtool run tests of the rules, each group once a minute, which takes less than its own interval.

    Another test checks the words of the rules, so they are left out here.
    """
    groups = [{"name": group["name"], "rules": [*map(_wordless, group["rules"])]} for group in rule_groups()]
    (directory / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
    asked = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests}
    (directory / "tests.yaml").write_text(yaml.safe_dump(asked))
    done = promtool("test", "rules", directory / "tests.yaml")
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def _wordless(rule: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in rule.items() if key != "annotations"}
