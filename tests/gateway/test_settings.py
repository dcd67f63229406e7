"""A gateway's settings: two ports, the proxies in front of it, and its limits."""

from ipaddress import ip_network
from pathlib import Path
from secrets import token_bytes, token_hex

import nkeys
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from chassis.settings import Address, BadSetting
from gateway.limits import DAY, Policy
from gateway.settings import load


@pytest.fixture(name="environment")
def _environment(tmp_path: Path) -> dict[str, str]:
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem)
    (tmp_path / "password").write_text("secret")
    (tmp_path / "seed").write_bytes(nkeys.encode_seed(token_bytes(32), nkeys.PREFIX_BYTE_USER))
    return {
        "NATS_URL": "nats://127.0.0.1:4222",
        "NATS_NKEY_FILE": str(tmp_path / "seed"),
        "DATABASE_URL": "postgresql://butler_gateway@127.0.0.1/butler",
        "DATABASE_PASSWORD_FILE": str(tmp_path / "password"),
        "JWT_PRIVATE_KEY_FILE": str(tmp_path / "key.pem"),
        "GRANT_PRIVATE_KEY_FILE": str(tmp_path / "key.pem"),
        "WRAPPING_KEY_FINGERPRINT": token_hex(32),
        "SEALING_KEY_FINGERPRINT": token_hex(32),
    }


def test_defaults(environment: dict[str, str]) -> None:
    """The API is on 3000 and operations on 3010, no proxy is trusted, keys and users have low limits."""
    settings = load(environment)

    assert settings.address == Address("127.0.0.1", 3000)
    assert settings.running.operations == Address("127.0.0.1", 3010)
    assert settings.trusted_proxies == ()
    limits = settings.limits
    assert limits.submissions == (Policy("submit", 6), Policy("submit-daily", 30, DAY))
    assert [policy.quota for policy in limits.register] == [20, 200]
    assert (limits.address.quota, limits.address_submissions.quota) == (4 * 600, 4 * 6)


def test_one_address_may_do_so_many_times_what_a_user_may(environment: dict[str, str]) -> None:
    """The limits of an address follow those of a user, by a factor; no quota is over a million.

    Each has a window of a minute: so a few users block the others there for at most a minute.
    """
    changed = {
        "SUBMISSION_LIMIT_PER_MINUTE": "7",
        "WRITE_LIMIT_PER_MINUTE": "600000",
        "ADDRESS_LIMIT_FACTOR": "2",
    }
    limits = load(environment | changed).limits

    assert limits.address_submissions == Policy("submit-address", 14, shared=True)
    assert limits.address == Policy("write-address", 1_000_000, shared=True)


def test_proxies_are_named_by_their_networks(environment: dict[str, str]) -> None:
    """A list with commas, of IPv4 and IPv6."""
    settings = load(environment | {"TRUSTED_PROXIES": "10.0.0.0/8, 2001:db8::/32,192.0.2.1"})

    assert settings.trusted_proxies == tuple(map(ip_network, ("10.0.0.0/8", "2001:db8::/32", "192.0.2.1/32")))


def test_a_network_of_proxies_that_is_too_wide_is_refused_in_words(environment: dict[str, str]) -> None:
    """The refusal names the permitted widths."""
    with pytest.raises(BadSetting, match=r"TRUSTED_PROXIES .*wider than /8 \(IPv4\) or /16 \(IPv6\)"):
        load(environment | {"TRUSTED_PROXIES": "10.0.0.0/8,::ffff:0:0/96"})


def test_fingerprints_come_from_their_file_where_no_variable_has_them(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """The file is as the vault's provisioning writes it; no other variable is read from it."""
    names = ("WRAPPING_KEY_FINGERPRINT", "SEALING_KEY_FINGERPRINT")
    written = {name: environment.pop(name) for name in names}
    lines = [f"{name}={text}" for name, text in {**written, "PORT": "1"}.items()]
    (tmp_path / "fingerprints.env").write_text("\n".join(lines))
    named = environment | {"VAULT_FINGERPRINTS_FILE": str(tmp_path / "fingerprints.env")}
    other = token_hex(32)

    settings = load(named)

    assert settings.pinned == load(environment | written).pinned
    assert settings.address.port == 3000
    assert load(named | {names[0]: other}).pinned.wrapping == {other}
    (tmp_path / "fingerprints.env").write_text(lines[0])
    with pytest.raises(BadSetting, match=names[1]):
        load(named)


def test_the_two_ports_are_not_one(environment: dict[str, str]) -> None:
    """The server would share a port silently, and half of the requests would reach the wrong one."""
    with pytest.raises(BadSetting, match="OPERATIONS_PORT"):
        load(environment | {"PORT": "3010"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPERATIONS_PORT", "0"),
        ("PORT", "http"),
        ("TRUSTED_PROXIES", "proxy"),
        ("TRUSTED_PROXIES", "0.0.0.0/0"),
        ("TRUSTED_PROXIES", "10.0.0.0/8;192.0.2.1"),
        ("SUBMISSION_LIMIT_PER_DAY", "0"),
        ("ADDRESS_LIMIT_FACTOR", "0"),
        ("WRITE_LIMIT_PER_MINUTE", "none"),
        ("SUBMISSIONS_AT_ONCE", "-1"),
    ],
)
def test_a_bad_setting_is_named(environment: dict[str, str], name: str, value: str) -> None:
    """A bad value never means no limit or trust in every peer."""
    with pytest.raises(BadSetting, match=name):
        load(environment | {name: value})
