"""The reloader beside a server of a cluster: the server shows its renewed certificate without a restart."""

import json
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import trustme
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.ports import LOOPBACK, accepts, free_ports
from deploy.reloading.reloader import Reloader
from deploy.reloading.server import Server
from tests.deploy.reloaded import Running, reloading, running, sleeping
from tests.waiting import until

HOUR = 3600.0


def current(port: int) -> float | None:
    """Return what the reloader reports; None before it answers."""
    try:
        text = httpx.get(f"http://{LOOPBACK}:{port}/metrics", trust_env=False).text
    except httpx.HTTPError:
        return None
    ((sample,),) = (each.samples for each in text_string_to_metric_families(text))
    assert (sample.name, sample.labels) == ("butler_ready", {"part": "certificate"})
    return sample.value


async def test_nats_shows_its_renewed_certificate(tmp_path: Path) -> None:
    """The process stays; the reloader says what it did, and that new clients see the certificate."""
    (port,), log = free_ports(1), tmp_path / "log"
    with running("nats") as run, reloading(run, port, log):
        await until(lambda: reports(port, 1))
        renewed = run.secret.renew()
        await until(lambda: shows(run, renewed))
        await until(lambda: said(log, "certificate_shown", 2))
        assert (current(port), run.process.poll()) == (1, None)
    told = events(log.read_text(), "server_told")

    assert [(each["processes"], each["attempt"]) for each in told] == [([run.process.pid], 1)]


async def test_openbao_shows_its_renewed_certificate(tmp_path: Path) -> None:
    """It reads its files by itself; the reloader looks, and reports."""
    (port,), log = free_ports(1), tmp_path / "log"
    with running("openbao") as run, reloading(run, port, log):
        await until(lambda: reports(port, 1))
        renewed = run.secret.renew()
        await until(lambda: said(log, "certificate_shown", 2))
        assert (run.shows(renewed), current(port), run.process.poll()) == (True, 1, None)


async def test_postgresql_shows_its_renewed_certificate(tmp_path: Path) -> None:
    """Its liveness probe has it read the files for five minutes; the reloader looks, and reports."""
    (port,), log = free_ports(1), tmp_path / "log"
    with running("postgres") as run, reloading(run, port, log):
        await until(lambda: reports(port, 1))
        renewed = run.secret.renew()
        await until(lambda: reports(port, 0))
        run.probe()
        await until(lambda: reports(port, 1))
        assert (run.shows(renewed), run.process.poll()) == (True, None)
        renewed = run.secret.renew(minutes=6)
        run.probe()
        await until(lambda: reports(port, 0))
        assert not run.shows(renewed)


async def reports(port: int, value: float) -> bool:
    """Return whether the reloader reports a value."""
    return current(port) == value


async def shows(run: Running, certificate: bytes) -> bool:
    """Return whether a server shows a certificate."""
    return run.shows(certificate)


async def said(log: Path, event: str, times: int) -> bool:
    """Return whether a reloader has logged an event so many times."""
    return log.read_text().count(event) == times


@pytest_asyncio.fixture(name="nats", scope="module")
async def _nats() -> AsyncIterator[Running]:
    with running("nats") as run:
        await until(lambda: accepts(run.server.port))
        yield run


async def reloaded(run: Running) -> Reloader:
    """Return a reloader whose server shows its certificate; its last step was before HOUR."""
    reloader, seconds = Reloader(run.secret.folder, run.server), count()

    async def stepped() -> bool:
        reloader.step(next(seconds))
        return reloader.current

    await until(stepped)
    return reloader


@pytest.fixture(name="folder")
def _folder(nats: Running) -> Path:
    return nats.secret.folder


async def test_a_server_that_refuses_is_told_again_until_it_reads(
    nats: Running, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """After 2, 4, 8 … seconds; meanwhile it is not current. No line has a key."""
    accounts, reloader = nats.configuration("accounts.conf"), await reloaded(nats)
    before = accounts.read_text()
    accounts.write_text("accounts { broken")  # NATS reads all or nothing
    renewed = nats.secret.renew()
    for now in (1, 2.9, 3, 6.9, 7, 14.9):
        reloader.step(HOUR + now)
        assert not reloader.current
    accounts.write_text(before)
    reloader.step(HOUR + 15)
    await until(lambda: shows(nats, renewed))
    reloader.step(HOUR + 31)

    lines = capfd.readouterr().err
    attempts = [(each["attempt"], each["level"]) for each in events(lines, "server_told")][-4:]
    assert attempts == [(1, "info"), (2, "warning"), (3, "warning"), (4, "warning")]
    assert reloader.current
    assert (folder / "tls.key").read_text().splitlines()[1] not in lines


async def test_a_server_is_told_of_another_authority(
    nats: Running, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Also where its own certificate stays: clients that it admits may have changed."""
    reloader = await reloaded(nats)
    certificate, key = [(folder / name).read_bytes() for name in ("tls.crt", "tls.key")]
    capfd.readouterr()
    nats.secret.bring(certificate, key, trustme.CA())
    reloader.step(HOUR)

    assert len(events(capfd.readouterr().err, "server_told")) == 1
    nats.secret.renew()


async def test_no_other_program_is_told(nats: Running) -> None:
    """Probes and people run the server's program with other words, and a signal would end it."""
    with sleeping("nats-server"):
        assert nats.server.processes() == [nats.process.pid]


async def test_a_server_that_does_not_answer_yet_is_told_nothing(
    nats: Running, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It reads its files when it starts, and a signal could end it before that."""
    reloader = Reloader(folder, Server(["starting", "60"], free_ports(1)[0]))
    with sleeping("starting") as starting:
        reloader.step(0)
        nats.secret.renew()
        for now in (2, 4, 6):
            reloader.step(now)
        assert (starting.poll(), reloader.current) == (None, False)
    assert len(events(capfd.readouterr().err, "certificate_unknown")) == 2  # before and after the change


async def test_a_server_that_could_not_be_told_shows_before_its_renewal(
    nats: Running, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The reloader is not current while it finds no process with the words of the server."""
    await reloaded(nats)
    reloader = Reloader(folder, Server(["nats-server", "--other"], nats.server.port))
    reloader.step(0)

    assert not reloader.current
    assert events(capfd.readouterr().err, "server_not_found")[0]["command"] == "nats-server --other"


def events(lines: str, name: str) -> list[dict[str, Any]]:
    """Return the log lines of an event."""
    told = [json.loads(line) for line in lines.splitlines()]
    return [each for each in told if each["event"] == name]
