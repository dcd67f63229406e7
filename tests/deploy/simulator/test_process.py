"""The simulator is a process that can be started, found, trusted and stopped."""

import shutil
import signal
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.exchanges import EXCHANGES
from contracts.prices import ECB
from deploy.local.certificates import make_authority
from deploy.local.demo import ACCOUNTS
from deploy.simulator.okx.accounts import Accounts, load_accounts
from deploy.simulator.types import Origin
from tests.deploy.verifying import verified

Start = Callable[..., AbstractContextManager[Any]]
REPOSITORY = Path(__file__).parents[3]
HOSTS = ("127.0.0.1", "localhost")


def shake_hands(port: int, context: ssl.SSLContext, host: str) -> str | None:
    """Connect over TLS as a client that expects this host, and return the protocol's version."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as connection,
        context.wrap_socket(connection, server_hostname=host) as secured,
    ):
        return secured.version()


def test_it_says_where_it_listens(simulator: Any) -> None:
    """The file names an address for each host of each exchange in the catalogue, the bank, and no other."""
    address = simulator.address
    urls = [url for origins in address["exchanges"].values() for url in origins.values()]

    assert {"exchanges", "ca"} == address.keys()
    assert address["exchanges"].keys() == {*EXCHANGES, ECB}
    for key, exchange in EXCHANGES.items():
        origins = [Origin(key, region.key, host).name for region in exchange.regions for host in region.hosts]
        assert [*address["exchanges"][key]] == origins
    assert all(url.startswith("https://127.0.0.1:") for url in urls)
    assert len({*urls}) == len(urls)


def test_each_region_answers_for_its_own_accounts(simulator: Any, accounts: Accounts) -> None:
    """The address of another region does not know the key."""
    statuses = {
        region: simulator.get(accounts["eea"], "/api/v5/account/config", region)[0]
        for region in simulator.regions
    }

    assert statuses == {"global": 401, "eea": 200, "us": 401}


@pytest.mark.parametrize("host", HOSTS)
def test_the_certificate_passes_the_strict_checks_of_newer_pythons(simulator: Any, host: str) -> None:
    """Python 3.13 made RFC 5280's strict rules the default."""
    context = ssl.create_default_context(cafile=simulator.address["ca"])
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN

    assert shake_hands(simulator.port, context, host) == "TLSv1.3"


def test_a_client_that_does_not_trust_the_authority_refuses(simulator: Any) -> None:
    """Only the simulator's own authority signed the certificate."""
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(simulator.port, ssl.create_default_context(), "127.0.0.1")


def test_it_listens_on_loopback_only(simulator: Any) -> None:
    """Only the address 127.0.0.1 of the machine leads to it."""
    listening = Path(f"/proc/{simulator.process.pid}/net/tcp").read_text().splitlines()[1:]
    ports = {int(url.rpartition(":")[2]) for url in simulator.regions.values()}
    local = {line.split()[1] for line in listening if line.split()[3] == "0A"}

    assert {f"0100007F:{port:04X}" for port in ports} == {
        address for address in local if int(address.partition(":")[2], 16) in ports
    }


def test_keys_are_readable_by_their_owner_only(simulator: Any) -> None:
    """Both private keys are 0600."""
    keys = sorted(simulator.directory.glob("*-key.pem"))

    assert [key.name for key in keys] == ["ca-key.pem", "server-key.pem"]
    assert {0o600} == {stat.S_IMODE(key.stat().st_mode) for key in keys}


def test_a_restart_keeps_the_certificates_and_sigterm_is_a_clean_end(start: Start, tmp_path: Path) -> None:
    """A client that trusts the authority keeps trusting it; the address file is deleted meanwhile."""
    written: list[dict[str, bytes]] = []
    for _ in range(2):
        with start(tmp_path) as simulator:
            assert simulator.get(None, "/api/v5/public/time")[0] == 200
            written.append({path.name: path.read_bytes() for path in tmp_path.glob("*.pem")})
        assert simulator.process.returncode == 0
        assert not (tmp_path / "address.json").exists()

    assert written[0] == written[1]
    assert len(written[0]) == 4


def test_a_killed_simulator_leaves_nothing_that_stops_the_next(start: Start, tmp_path: Path) -> None:
    """The address of a killed process is replaced."""
    with start(tmp_path) as killed:
        killed.process.send_signal(signal.SIGKILL)
        killed.process.wait(5)
    with start(tmp_path) as simulator:
        assert simulator.get(None, "/api/v5/public/time")[0] == 200
        assert simulator.address != killed.address


def test_an_exchange_is_added_by_its_folder_and_has_faults_of_its_own(
    start: Start, accounts: Accounts, tmp_path: Path
) -> None:
    """Several exchanges are served at once; each has its addresses, accounts and faults."""
    shutil.copytree(REPOSITORY / "deploy", tmp_path / "deploy")
    exchanges = tmp_path / "deploy" / "simulator"
    shutil.copytree(exchanges / "okx", exchanges / "twin")
    for path in (exchanges / "twin").glob("*.*"):
        path.write_text(path.read_text().replace("okx", "twin"))

    with start(tmp_path, "--admin-port", "0", source=tmp_path) as simulator:
        url = f"{simulator.address['admin']}/faults/twin/plain/api/v5/account/config"
        body = {"fault": "refusal", "code": "50026"}
        assert httpx.put(url, json=body, trust_env=False).status_code == 204
        twin = replace(simulator, address={"exchanges": {"okx": simulator.address["exchanges"]["twin"]}})
        twin.address["ca"] = simulator.address["ca"]
        codes = [
            each.get(accounts["plain"], "/api/v5/account/config")[1]["code"] for each in (simulator, twin)
        ]

    assert codes == ["0", "50026"]
    assert not {*simulator.regions.values()} & {*twin.regions.values()}


def test_a_file_of_accounts_names_its_exchange(start: Start, tmp_path: Path) -> None:
    """A file without a name is OKX's."""
    own = ACCOUNTS.read_text()
    for name, text in {"named": own, "unnamed": own.replace('exchange = "okx"', "")}.items():
        (tmp_path / name).write_text(text.replace('name = "empty"', f'name = "{name}"'))
        with start(tmp_path, "--accounts", str(tmp_path / name)) as simulator:
            account = load_accounts(tmp_path / name)[name]
            assert simulator.get(account, "/api/v5/account/config")[0] == 200


def test_a_chosen_port_is_the_first_of_three(start: Start, tmp_path: Path) -> None:
    """With --port the origins have that port and the next ones, so that an address can be written down."""
    port = three_free_ports()

    with start(tmp_path, "--port", str(port)) as simulator:
        urls = simulator.regions.values()

    assert [f"https://127.0.0.1:{port + index}" for index in range(3)] == list(urls)


def three_free_ports() -> int:
    """Return the first of three free ports in a row."""
    for port in range(20000, 30000, 3):
        with ExitStack() as held, suppress(OSError):
            for index in range(3):
                held.enter_context(socket.create_server(("127.0.0.1", port + index)))
            return port
    pytest.fail("no three free ports in a row")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--port", "{taken}"], "address already in use"),
        (["--accounts", "{file}"], "unknown field `colour`"),
        (["--accounts", "{elsewhere}"], "deploy/simulator has no exchange elsewhere"),
    ],
)
def test_a_start_that_fails_says_why_in_one_line(
    simulator: Any, tmp_path: Path, options: list[str], complaint: str
) -> None:
    """A taken port or a mistake in the file of accounts causes no traceback, and no address file stays."""
    file, elsewhere = tmp_path / "accounts.toml", tmp_path / "elsewhere.toml"
    file.write_text('colour = "red"')
    elsewhere.write_text('exchange = "elsewhere"')
    given = [option.format(taken=simulator.port, file=file, elsewhere=elsewhere) for option in options]
    command = [sys.executable, "-m", "deploy.simulator", "--directory", str(tmp_path), *given]

    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False)

    assert ran.returncode == 1
    assert ran.stderr.startswith("the simulated exchanges can not start: ")
    assert complaint in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert not (tmp_path / "address.json").exists()


def test_strict_limits_are_an_option_of_the_process(start: Start, tmp_path: Path) -> None:
    """The second of two immediate calls is refused."""
    with start(tmp_path, "--strict-limits") as simulator:
        statuses = [simulator.get(None, "/api/v5/public/time")[0] for _ in range(2)]

    assert statuses == [200, 429]


def test_other_hosts_get_another_certificate_of_the_same_authority(tmp_path: Path) -> None:
    """The server's certificate is reused for the same hosts only."""
    authority = make_authority(tmp_path, "Test CA")
    first = authority.issue(["127.0.0.1"]).certificate_path.read_bytes()
    same = authority.issue(["127.0.0.1"]).certificate_path.read_bytes()
    other = authority.issue(["127.0.0.1", "localhost"]).certificate_path.read_bytes()
    root = authority.certificate_path.read_bytes()

    assert first == same != other
    assert root == make_authority(tmp_path, "Test CA").certificate_path.read_bytes()


@pytest.mark.parametrize("content", [None, b""])
@pytest.mark.parametrize("lost", ["ca.pem", "ca-key.pem", "server.pem", "server-key.pem"])
def test_a_lost_file_is_made_again_with_what_depends_on_it(
    tmp_path: Path, lost: str, content: bytes | None
) -> None:
    """If any file is missing or empty after a crash, the next start has a chain that verifies."""
    make_authority(tmp_path, "Test CA").issue(HOSTS)
    (tmp_path / lost).unlink()
    if content is not None:
        (tmp_path / lost).write_bytes(content)

    authority = make_authority(tmp_path, "Test CA")
    server = authority.issue(HOSTS)

    assert verified(authority, server)
    ssl.create_default_context().load_cert_chain(server.certificate_path, server.key_path)
