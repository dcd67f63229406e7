"""Images of another version of the services, built from a changed copy of the tree."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.containers.engine import DOCKER, SERVICES
from tests.imports import ROOT

COPIED = ("contracts", "services", "deploy", "requirements")
BUILD_SECONDS = 600
WALLET, CODE = "loans", "moody_exchange"
# A release that knows one wallet and one fault code more.
CHANGES = {
    "contracts/contracts/exchanges/okx.py": {
        'Wallet("earn", "Earn"),': (f'Wallet("earn", "Earn"), Wallet("{WALLET}", "Loans"),'),
    },
    "contracts/contracts/fault_codes.py": {
        'INTERNAL_ERROR = "internal_error"\n': f'INTERNAL_ERROR = "internal_error"\n    MOODY = "{CODE}"\n',
    },
    "contracts/contracts/faults.py": {
        "FAULTS: Mapping[str, Fault] = {\n": (
            'FAULTS: Mapping[str, Fault] = {\n    Code.MOODY: _of_ours("The exchange is moody."),\n'
        ),
    },
}
# Its worker reads the wallet, and has its code for a funding wallet without an asset.
ADDED = {
    "services/sync-worker/sync_worker/exchanges/okx/wallets.py": f"""
import msgspec
from contracts.faults import Code
from sync_worker.verdicts import unread
two_wallets = judge_wallets
def judge_wallets(*told):
    trading, funding = two_wallets(*told)
    loans = msgspec.structs.replace(trading, wallet="{WALLET}")
    return trading, funding if funding.balances else unread("funding", Failure(Code.MOODY)), loans
""",
}


def changed_copy(directory: Path) -> Path:
    """Copy the tree into a directory, as the next release; fails if the code that it changes is gone."""
    for name in COPIED:
        shutil.copytree(ROOT / name, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", ".dockerignore"):
        shutil.copy(ROOT / name, directory)
    for place, changes in CHANGES.items():
        text = (directory / place).read_text()
        for old, new in changes.items():
            assert text.count(old) == 1, (place, old)
            text = text.replace(old, new)
        (directory / place).write_text(text)
    for place, code in ADDED.items():
        with (directory / place).open("a") as file:
            file.write(code)
    return directory


def build(tree: Path, tag: str) -> dict[str, str]:
    """Build the images of the three services from a tree with a tag, and return their names."""
    script = tree / "deploy" / "containers" / "build.sh"
    done = subprocess.run(
        ["bash", script, *SERVICES],
        env=os.environ | {"TAG": tag, "DOCKER": DOCKER, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {service: f"butler-{service}:{tag}" for service in SERVICES}
