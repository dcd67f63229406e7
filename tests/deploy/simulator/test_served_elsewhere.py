"""In a pod the simulator listens on all addresses, with a certificate that others issued."""

import asyncio
import json
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import trustme

from tests.waiting import until

SECONDS = 20


async def test_it_shows_the_certificate_that_it_was_given(tmp_path: Path) -> None:
    """Clients that trust its authority reach it by the name in it."""
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "tls.crt"))
    issued.private_key_pem.write_to_path(str(tmp_path / "tls.key"))
    home = tmp_path / "exchange"
    options = [
        f"--directory={home}",
        "--listen=0.0.0.0",
        f"--certificate={tmp_path / 'tls.crt'}",
        f"--key={tmp_path / 'tls.key'}",
    ]

    async def listens() -> bool:
        return (home / "address.json").exists()

    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "deploy.simulator", *options)
    try:
        await until(listens, SECONDS)
        url = json.loads((home / "address.json").read_text())["exchanges"]["okx"]["global"]
        context = ssl.create_default_context()
        authority.configure_trust(context)
        async with httpx.AsyncClient(verify=context, trust_env=False) as client:
            answer = await client.get(f"{url.replace('127.0.0.1', 'localhost')}/api/v5/public/time")
    finally:
        process.terminate()
        await process.wait()

    assert answer.status_code == httpx.codes.OK


@pytest.mark.parametrize("given", ["certificate", "key"])
def test_a_certificate_without_its_key_is_an_error(given: str, tmp_path: Path) -> None:
    """The simulator makes no authority in its place, which clients would not trust."""
    options = [f"--directory={tmp_path / 'exchange'}", f"--{given}={tmp_path / 'given.pem'}"]
    command = [sys.executable, "-m", "deploy.simulator", *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)

    assert ended.returncode == 2
    assert ended.stderr.endswith("error: --certificate and --key are given together\n")
    assert not (tmp_path / "exchange").exists()
