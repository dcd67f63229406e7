"""A service gets its own settings, and of its caller's environment those that its `load` reads."""

import ast
import os
import re
import subprocess
from pathlib import Path

import psutil
import pytest

from deploy.local.confinement import best_way
from deploy.local.ports import LOOPBACK, free_ports
from deploy.local.processes import Processes
from deploy.local.services import MODULES, OPTIONAL, environments, programs, service_ports, with_own_files
from deploy.local.stack import Stack
from tests.deploy.robbing import ids
from tests.deploy.test_stack import STOP_SECONDS, command

NAME = re.compile("[A-Z][A-Z0-9]*(_[A-Z0-9]+)+|PORT")
ROOT = Path(__file__).parents[2]
RUNNING = ROOT / "services" / "chassis" / "chassis" / "settings.py"
READERS = {
    name: (
        RUNNING,
        ROOT / "services" / name / module / "settings.py",
        *(ROOT / "services" / name / module).glob("exchanges/*/settings.py"),
    )
    for name, module in MODULES.items()
}
STRAY = {
    "AWS_SECRET_ACCESS_KEY": "x",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "LD_PRELOAD": "",
    "PGHOST": "elsewhere",
    "PYTHONPATH": "/elsewhere",
    "SSL_CERT_FILE": "/elsewhere",
    "VAULT_TOKEN": "x",
}


def told(stack: Stack) -> dict[str, dict[str, str]]:
    """Return the settings of each service of a stack."""
    return environments(stack.parts, stack.ports, stack.processes.way)


def own_settings(stack: Stack, service: str) -> set[str]:
    """Return the names of the settings that the stack itself passes to a service."""
    with pytest.MonkeyPatch.context() as nothing:
        nothing.setattr(os, "environ", {})
        return set(told(stack)[service])


def names_in(path: Path) -> set[str]:
    """Return the names of settings that a module mentions."""
    return {
        node.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and NAME.fullmatch(node.value)
    }


@pytest.mark.parametrize("service", MODULES)
def test_every_setting_that_load_reads_passes_through_and_no_other(
    shared_stack: Stack, monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    """The service gets the settings that the stack does not set from its caller, if it reads them."""
    own = own_settings(shared_stack, service)
    caller = {**STRAY, **dict.fromkeys(OPTIONAL[service], "told")}
    monkeypatch.setattr(os, "environ", caller)
    passed = told(shared_stack)[service]

    assert passed.keys() == own | {*OPTIONAL[service]}
    assert {name for name, text in passed.items() if text == "told"} == {*OPTIONAL[service]} - own


@pytest.mark.parametrize("service", MODULES)
def test_what_a_service_reads_is_told_or_optional_and_explained(shared_stack: Stack, service: str) -> None:
    """The stack sets each name, or the caller may set it; the docs say which."""
    mentioned = set().union(*map(names_in, READERS[service]))
    explained = (ROOT / "docs" / "architecture.md").read_text()

    assert mentioned - own_settings(shared_stack, service) <= {*OPTIONAL[service]}
    assert [name for name in OPTIONAL[service] if f"`{name}`" not in explained] == []


async def test_a_running_service_has_no_other_environment(shared_stack: Stack, tmp_path: Path) -> None:
    """The kernel shows exactly the settings passed to each service."""
    if os.geteuid() != 0:
        pytest.skip("a service hides its environment from its own user")
    way = shared_stack.processes.way
    for program in programs(shared_stack.parts, service_ports(), way):
        async with Processes(tmp_path, way).running(program) as process:
            assert psutil.Process(process.pid).environ() == program.environment


def test_a_file_that_the_caller_names_is_the_services_own(tmp_path: Path) -> None:
    """A service reads a copy in its folder, of this start; a setting with a missing file does not change."""
    authority = tmp_path / "authority.pem"
    authority.write_text("first")
    settings = {"EXCHANGE_CA_FILE": str(authority), "OTHER_FILE": str(tmp_path / "missing"), "NAME": "x"}

    own = with_own_files(tmp_path, "sync-worker", settings, best_way())
    authority.write_text("second")
    again = with_own_files(tmp_path, "sync-worker", settings, best_way())

    copy = tmp_path / "services" / "sync-worker" / "exchange_ca_file.pem"
    assert own == again == {**settings, "EXCHANGE_CA_FILE": str(copy)}
    assert copy.read_text() == "second"
    assert copy.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])  # noqa: S104  # it is refused
def test_the_stack_refuses_to_listen_in_the_clear(tmp_path: Path, host: str) -> None:
    """With another address than loopback the start says why it refuses, and makes nothing."""
    directory = tmp_path / "butler"
    (port,) = free_ports(1)
    refused = subprocess.run(
        command(directory, port),
        env={**os.environ, "LISTEN_HOST": host},
        capture_output=True,
        text=True,
        timeout=STOP_SECONDS,
        check=False,
    )

    assert refused.returncode == 1
    assert f"LISTEN_HOST={host} is refused" in refused.stderr
    assert "proxy with TLS" in refused.stderr
    assert not directory.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="a service hides its sockets from its own user")
async def test_every_part_listens_on_loopback_alone(shared_stack: Stack) -> None:
    """No socket of any part can be reached from another machine."""
    listening = {
        (name, each.laddr.ip)
        for name, number in ids(shared_stack).items()
        for each in psutil.Process(number).net_connections()
        if each.status == psutil.CONN_LISTEN
    }

    # The database has no port.
    assert {name for name, _ in listening} == ids(shared_stack).keys() - {"postgres"}
    assert {address for _, address in listening} == {LOOPBACK}
