"""A metric says how long the certificates in files of settings are valid."""

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

from trustme import CA

from chassis import metrics
from chassis.certificates import Certificates

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)


def issued(days: int) -> bytes:
    """Return a certificate that is valid for so many days from now, as PEM."""
    certificate = CA().issue_cert("localhost", not_before=NOW - DAY, not_after=NOW + days * DAY)
    return certificate.cert_chain_pems[0].bytes()


async def days_left(file: Path, setting: str) -> float:
    """Return the metric of a file in days."""
    await Certificates({setting: str(file)}, lambda: NOW).sample()
    found = metrics.REGISTRY.get_sample_value("butler_certificate_left_seconds", {"setting": setting})
    assert found is not None
    return found / DAY.total_seconds()


async def test_a_certificate_ends_with_the_first_of_its_chain(tmp_path: Path) -> None:
    """A client refuses the chain when one of it has expired; of several trusted CAs one suffices."""
    (file := tmp_path / "several.pem").write_bytes(issued(20) + issued(3))

    assert await days_left(file, "NATS_CERT_FILE") == 3
    assert await days_left(file, "NATS_CA_FILE") == 20


async def test_a_certificate_of_a_service_has_an_age(tmp_path: Path) -> None:
    """It is the time from which the service's own certificate is valid, the first one of its file."""
    (file := tmp_path / "own.pem").write_bytes(issued(3))
    await days_left(file, "NATS_CERT_FILE")

    made = metrics.REGISTRY.get_sample_value("butler_key_created_seconds", {"key": "certificate"})
    assert made == (NOW - DAY).timestamp()


async def test_a_renewed_file_counts_and_an_unreadable_one_is_no_number(tmp_path: Path) -> None:
    """The file is read each time, and its last time does not stay."""
    (file := tmp_path / "one.pem").write_bytes(issued(3))
    assert await days_left(file, "NATS_CERT_FILE") == 3

    file.write_bytes(issued(90))
    assert await days_left(file, "NATS_CERT_FILE") == 90

    file.write_bytes(b"no certificate")
    assert math.isnan(await days_left(file, "NATS_CERT_FILE"))
