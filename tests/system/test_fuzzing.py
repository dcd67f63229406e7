"""Any request gets a response of the OpenAPI document, meant for its user only (R-27)."""

import asyncio
import json
import os
import re
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

from deploy.local.processes import executable
from deploy.local.stack import Stack
from tests.system.conftest import NewPerson
from tests.system.person import Person

ROOT = Path(__file__).parents[2]
SECONDS = 240
OPTIONS = [
    *("--seed", "1", "--max-examples", "50", "--continue-on-failure", "--generation-database", "none"),
    # Signing out would end the run; other tests do it.
    *("--exclude-path", "/api/v1/auth/logout"),
    *("--exclude-path", "/api/v1/me/sessions/{session_id}"),
    # The document does not say which values an address or a name may have, and Litestar's own response to
    # OPTIONS names the methods of only one handler of a path.
    *("--exclude-checks", "positive_data_acceptance,allow_header_conformance"),
]


def write_identities(directory: Path, *persons: Person) -> None:
    """Write the identities of the fuzzer: users who may not see each other's objects."""
    headers = {person.email: person.client.headers["Authorization"] for person in persons}
    entries = [
        {"name": name, "fixedHeaders": [{"name": "Authorization", "value": value}]}
        for name, value in headers.items()
    ]
    (directory / "identities.json").write_text(json.dumps({"auth": entries}))
    peers = json.dumps([*headers])
    (directory / "schemathesis.toml").write_text(f'[auth.wfc]\npath = "identities.json"\npeers = {peers}\n')


async def test_no_answer_is_off_the_document(stack: Stack, new_person: NewPerson, tmp_path: Path) -> None:
    """Hundreds of good, bad and related requests of two users cause no 5xx and show no foreign object."""
    persons = [await new_person(), await new_person()]
    for person in persons:
        await person.connect("plain")
        await person.post("/accounts/sync-all")
    write_identities(tmp_path, *persons)
    process = await asyncio.create_subprocess_exec(
        *(str(executable("schemathesis")), "run", f"{stack.api}/openapi.json", *OPTIONS),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.system.fuzzed"},
        stdout=PIPE,
        stderr=STDOUT,
    )
    output = (await asyncio.wait_for(process.communicate(), SECONDS))[0].decode()

    assert process.returncode == 0, output
    for person in persons:  # the examples of the document must not end what the fuzzer is signed in with
        await person.get("/me")
    covered = re.search(r"API Links: +(\d+) covered", output)
    assert covered is not None
    assert int(covered[1]) >= 3, output
