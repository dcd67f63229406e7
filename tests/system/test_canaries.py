"""No credential is written down anywhere, not even at debug level."""

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx

from deploy.local.stack import Stack
from tests.system.person import PASSWORD, Person, credentials


def forms(secret: str) -> set[bytes]:
    """Give the forms in which a secret could be written: raw, hex, base64 at any offset, URL-encoded."""
    raw = secret.encode()
    aligned = {b64encode(b"x" * shift + raw)[4:-4] for shift in range(3)}
    return {raw, raw.hex().encode(), quote(secret, safe="").encode(), *aligned}


def written(directory: Path) -> Iterator[tuple[Path, bytes]]:
    """Give everything that the system wrote: logs, streams, tables and their log, the vault's storage."""
    for folder in ("logs", "nats", "postgres", "openbao"):
        for path in (directory / folder).rglob("*"):
            if path.is_file():
                yield path, path.read_bytes()


async def test_no_credential_is_written_down(person: Person, stack: Stack, directory: Path) -> None:
    """After connecting, syncing, repairing and a refusal, no file or metric holds a secret in any form."""
    account = await person.connect("plain")
    await person.post(f"/accounts/{account['id']}/sync")
    await person.put(f"/accounts/{account['id']}/credentials", {"credentials": credentials("plain")})
    await person.connect("trade-enabled", 422)
    secrets = {PASSWORD, *person.tokens.values()} - {"Bearer", 900}
    secrets |= {*credentials("plain").values(), *credentials("trade-enabled").values()}
    hunted = {form: secret for secret in secrets for form in forms(str(secret))}

    async with httpx.AsyncClient(trust_env=False) as client:
        metrics = [(await client.get(f"{stack.url(service)}/metrics")).content for service in stack.ports]
    places = [*written(directory), *((Path("metrics"), text) for text in metrics)]
    found = [(path, hunted[form][:4]) for path, content in places for form in hunted if form in content]

    assert found == []
    assert sum(b'"debug"' in content for path, content in places if path.suffix == ".log") == len(stack.ports)
