"""Settings: each missing or bad one is named, and no content of a file is repeated."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chassis.settings import Address, BadSetting
from deploy.local.nats import Nats
from tests.vault_broker.conftest import environment
from tests.vault_broker.vaults import OwnVault
from vault_broker.settings import load

SPKI = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture(name="environ")
def _environ(nats: Nats, own_vault: OwnVault, grant_key: Ed25519PrivateKey, tmp_path: Path) -> dict[str, str]:
    return environment(nats, own_vault, grant_key, tmp_path)


REQUIRED = (
    "NATS_URL",
    "NATS_NKEY_FILE",
    "VAULT_ADDR",
    "VAULT_CACERT",
    "VAULT_ROLE_ID_FILE",
    "VAULT_SECRET_ID_FILE",
    "GRANT_PUBLIC_KEY_FILE",
)


def test_defaults(environ: dict[str, str]) -> None:
    """The default is port 3002 on the loopback interface, and no secret shows."""
    settings = load({name: environ[name] for name in REQUIRED})

    assert (settings.running.operations, settings.running.log_level) == (Address("127.0.0.1", 3002), "info")
    assert Path(environ["NATS_NKEY_FILE"]).read_text().strip() not in repr(settings)


@pytest.mark.parametrize("name", REQUIRED)
def test_missing_setting_is_named(environ: dict[str, str], name: str) -> None:
    """No required setting has a default that could be wrong."""
    for gone in ({**environ, name: ""}, {key: value for key, value in environ.items() if key != name}):
        with pytest.raises(BadSetting, match=f"^{name} is not set"):
            load(gone)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "/nowhere") for name in REQUIRED if name not in {"NATS_URL", "VAULT_ADDR"}),
        ("VAULT_ADDR", "http://127.0.0.1:8200"),
        ("VAULT_ADDR", "https://"),
        ("VAULT_ADDR", "https://vault:port"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "http"),
    ],
)
def test_bad_setting_is_named(environ: dict[str, str], name: str, value: str) -> None:
    """An unreadable file, a vault without TLS or host, and an invalid port are refused."""
    with pytest.raises(BadSetting, match=f"^{name} can not be used"):
        load({**environ, name: value})


@pytest.mark.parametrize("name", ["NATS_NKEY_FILE", "GRANT_PUBLIC_KEY_FILE"])
def test_key_file_with_another_content_is_named(environ: dict[str, str], name: str, tmp_path: Path) -> None:
    """A file with another key than expected is refused, and the words do not repeat its content."""
    content = X25519PrivateKey.generate().public_key().public_bytes(*SPKI)
    for bad in (content, b"", b"SUgarbage"):
        (tmp_path / "bad").write_bytes(bad)
        with pytest.raises(BadSetting, match=f"^{name} can not be used") as refused:
            load({**environ, name: str(tmp_path / "bad")})
        assert not bad or bad.decode() not in str(refused.value)


def test_the_token_of_a_pod_replaces_the_two_files(environ: dict[str, str], tmp_path: Path) -> None:
    """In a cluster there is neither role id nor secret id."""
    (tmp_path / "token").write_text("a token")
    del environ["VAULT_ROLE_ID_FILE"], environ["VAULT_SECRET_ID_FILE"]

    settings = load({**environ, "VAULT_KUBERNETES_TOKEN_FILE": str(tmp_path / "token")})

    assert settings.login.files == {"jwt": tmp_path / "token"}
    with pytest.raises(BadSetting, match=r"^VAULT_KUBERNETES_TOKEN_FILE can not be used"):
        load({**environ, "VAULT_KUBERNETES_TOKEN_FILE": "/nowhere"})
