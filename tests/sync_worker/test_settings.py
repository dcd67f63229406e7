"""The settings: which are required, which values are refused, and in which words."""

from pathlib import Path
from secrets import token_bytes

import msgspec
import nkeys
import pytest

from chassis.settings import Address, BadSetting
from contracts.exchanges.okx import OKX
from contracts.exchanges.types import OWN
from deploy.local.certificates import make_authority
from sync_worker.settings import Ceiling, Pace, load, named_hosts


@pytest.fixture(name="environment")
def _environment(tmp_path: Path) -> dict[str, str]:
    seed: bytes = nkeys.encode_seed(token_bytes(32), nkeys.PREFIX_BYTE_USER)
    (tmp_path / "seed").write_bytes(seed + b"\n")
    return {"NATS_URL": "nats://127.0.0.1:4222", "NATS_NKEY_FILE": str(tmp_path / "seed")}


def test_little_is_needed(environment: dict[str, str]) -> None:
    """By default the worker reads the real exchange."""
    settings = load(environment)

    assert settings.origins["okx"] == {region.key: region.hosts for region in OKX.regions}
    assert settings.running.operations == Address("127.0.0.1", 3001)
    assert settings.exchange_ca_file is None
    assert settings.egress_addresses == ()
    assert settings.exchange_proxy is None
    assert (settings.egress_group, settings.ceilings) == ("default", {})


def test_everything_can_be_said(environment: dict[str, str], tmp_path: Path) -> None:
    """Each setting sets its field."""
    ca = str(make_authority(tmp_path, "test").certificate_path)
    said = {
        "EXCHANGE_OKX_GLOBAL_URL": "https://127.0.0.1:8443/",
        "EXCHANGE_OKX_EEA_URL": "https://[::1]:8444",
        "EXCHANGE_CA_FILE": ca,
        "EGRESS_ADDRESSES": " 192.0.2.1,2001:db8::1 ,",
        "EGRESS_GROUP": "frankfurt-1",
        "EXCHANGE_OKX_CALLS_PER_ADDRESS": "40/2.5",
        "EXCHANGE_PROBE_SECONDS": "10/60.5",
        "PORT": "4001",
        "LISTEN_HOST": "0.0.0.0",  # noqa: S104 - it is only read here
    }

    settings = load(environment | said)

    assert settings.origins["okx"]["global"][OWN] == "https://127.0.0.1:8443"
    assert settings.origins["okx"]["eea"][OWN] == "https://[::1]:8444"
    assert settings.origins["okx"]["us"][OWN] == "https://us.okx.com"
    assert settings.egress_addresses == ("192.0.2.1", "2001:db8::1")
    assert settings.egress_group == "frankfurt-1"
    assert settings.ceilings == {"okx": Ceiling(40, 2.5)}
    assert settings.probes == Pace(10.0, 60.5)
    assert load(environment).probes == Pace(30.0, 300.0)
    assert settings.running.operations == Address("0.0.0.0", 4001)  # noqa: S104 - the same


def test_names_of_the_release_before_are_read_and_told(environment: dict[str, str]) -> None:
    """Both names mean the same; the new one wins."""
    before = load(environment | {"OKX_GLOBAL_URL": "https://127.0.0.1:8443"})
    both = load(
        environment | {name: f"https://{name[0]}.test" for name in ("OKX_US_URL", "EXCHANGE_OKX_US_URL")}
    )

    assert before.origins["okx"]["global"][OWN] == "https://127.0.0.1:8443"
    assert before.renamed == ("OKX_GLOBAL_URL is now EXCHANGE_OKX_GLOBAL_URL",)
    assert both.origins["okx"]["us"][OWN] == "https://E.test"
    assert load(environment).renamed == ()


def test_further_hosts_of_an_exchange_have_settings_of_their_own() -> None:
    """The setting of a region's own host names the exchange and the region, those of others also the host."""
    region = msgspec.structs.replace(OKX.regions[0], further_hosts={"futures": "https://futures.test"})

    (hosts,) = named_hosts(msgspec.structs.replace(OKX, regions=(region,))).values()

    assert hosts == {
        OWN: ("EXCHANGE_OKX_GLOBAL_URL", region.host),
        "futures": ("EXCHANGE_OKX_GLOBAL_FUTURES_URL", "https://futures.test"),
    }


def test_the_seed_is_masked(environment: dict[str, str]) -> None:
    """Settings in a log give no access to the bus."""
    seed = Path(environment["NATS_NKEY_FILE"]).read_text().strip()

    assert load(environment).running.nats_seed.reveal() == seed
    assert seed not in repr(load(environment))


BAD = {
    "NATS_URL": ["", " , "],
    "NATS_NKEY_FILE": ["", "/nowhere/seed", __file__],
    "EXCHANGE_OKX_EEA_URL": [
        "http://eea.okx.com",
        "eea.okx.com",
        "https://",
        "https://eea.okx.com/api",
        "https://eea.okx.com?a",
        "https://user:canary@eea.okx.com",
        "https://eea.okx.com:99999",
    ],
    "EXCHANGE_CA_FILE": ["/nowhere/ca.pem", __file__],
    "EXCHANGE_PROXY_URL": [
        "proxy:3128",
        "socks5://user:canary@proxy:3128",
        "http://",
        "http://user:canary@",
        "http://user:canary@proxy:99999",
        "http://user:canary@proxy:0",
        "http://user:canary@proxy:3128/path",
        "http://user:canary@proxy:3128?a",
        "http://user:canary%0d%0a@proxy:3128",
        "http://user:canary%C3%A4@proxy:3128",
    ],
    "EGRESS_GROUP": ["Frankfurt", "a.b", "a" * 33],
    "EXCHANGE_OKX_CALLS_PER_ADDRESS": ["40", "0/2", "40/0", "-1/2", "40/2s", "40/86401"],
    "EXCHANGE_PROBE_SECONDS": ["30", "0/30", "60/30", "30/3601", "30s/60s", "-1/5", "1e3/2e3"],
    "PORT": ["0", "65536", "http", "-1", "3001.5"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD.items() for value in values]
)
def test_a_bad_setting_is_named(environment: dict[str, str], name: str, value: str) -> None:
    """The text names the variable, and repeats no possible secret."""
    with pytest.raises(BadSetting, match=name) as caught:
        load(environment | {name: value})

    assert "canary" not in str(caught.value)
