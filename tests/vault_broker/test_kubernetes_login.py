"""In a cluster the broker logs in with the token of its pod; the vault is real, the API server a stand-in."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from deploy.local.processes import Processes
from deploy.vault.provision import Cluster, Handover, Terms, provision
from tests.vault_broker.reviewing import ApiServer, reviewing
from tests.vault_broker.test_vault_trouble import Seconds
from tests.vault_broker.vaults import OwnVault
from vault_broker.auth_methods import KUBERNETES_PAUSE, kubernetes
from vault_broker.errors import VaultUnavailable
from vault_broker.vault import Vault
from vault_broker.vault_login import Login


@pytest_asyncio.fixture(name="api", scope="module")
async def _api() -> AsyncIterator[ApiServer]:
    async with reviewing() as api:
        yield api


@pytest_asyncio.fixture(name="vault", scope="module")
async def _vault(
    processes: Processes, api: ApiServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[OwnVault]:
    """Run a vault that is provisioned for the broker of a cluster, twice."""
    directory = tmp_path_factory.mktemp("cluster-vault")
    vault = OwnVault(processes, directory, "cluster-vault")
    await vault.start(provisioned=False)
    cluster = Cluster("butler", api.url, ca=vault.ca.read_text(), reviewer=api.reviewer)
    files = Handover(vault.role_id_file, vault.secret_id_file, vault.fingerprints_file)
    for _ in range(2):
        await provision(vault.client, files, Terms(cluster=cluster))
    yield vault
    await vault.client.aclose()
    await vault.stop()


def login_of(vault: OwnVault, file: Path, seconds: Seconds) -> Login:
    """Return the broker's login with the token in a file."""
    return Login(Vault(vault.url, str(vault.ca)), kubernetes(file), seconds)


async def test_the_broker_logs_in_with_the_token_of_its_pod(
    vault: OwnVault, api: ApiServer, tmp_path: Path
) -> None:
    """It gets the broker's policy and no other, and no secret id exists."""
    file = tmp_path / "token"
    file.write_text(api.token("vault-broker"))
    login = login_of(vault, file, Seconds())
    await login.check()

    assert (await login.request("GET", "transit/wrapping_key"))["data"]
    token = await vault.root(
        "POST", "auth/kubernetes/login", {"role": "vault-broker", "jwt": file.read_text()}
    )
    assert token["auth"]["policies"] == ["vault-broker"]
    assert not vault.role_id_file.exists()
    assert not vault.secret_id_file.exists()
    assert await vault.status("GET", "auth/approle/role/vault-broker") == 404


@pytest.mark.parametrize("renewed", [False, True])
async def test_a_cluster_ends_the_app_role_of_before(vault: OwnVault, api: ApiServer, renewed: bool) -> None:  # noqa: FBT001
    """A secret id of before opens nothing; its tokens end with --renew-login, or when they expire."""
    files = Handover(vault.role_id_file, vault.secret_id_file, vault.fingerprints_file)
    await provision(vault.client, files, Terms())
    login = {
        "role_id": vault.role_id_file.read_text(),
        "secret_id": vault.secret_id_file.read_text(),
    }
    token = (await vault.root("POST", "auth/approle/login", login))["auth"]["client_token"]

    cluster = Cluster("butler", api.url, ca=vault.ca.read_text(), reviewer=api.reviewer)
    await provision(vault.client, files, Terms(cluster=cluster, renewed=renewed))

    assert await vault.status("GET", "auth/approle/role/vault-broker") == 404
    refused = await vault.client.post("auth/approle/login", json=login)
    assert refused.status_code == 400
    headers = {"X-Vault-Token": token}
    assert (await vault.client.post("auth/token/renew-self", headers=headers)).is_error
    opened = await vault.client.get("transit/wrapping_key", headers=headers)
    assert opened.is_success != renewed
    # With a role of the same name again the secret id stays without use.
    await provision(vault.client, files, Terms())
    assert (await vault.client.post("auth/approle/login", json=login)).status_code == 400
    await provision(vault.client, files, Terms(cluster=cluster))
    for path in (files.role_id_file, files.secret_id_file):
        path.unlink()


@pytest.mark.parametrize(
    ("account", "namespace", "audience"),
    [
        ("gateway", "butler", "vault"),
        ("vault-broker", "elsewhere", "vault"),
        ("vault-broker", "butler", "https://kubernetes.default.svc"),
    ],
)
async def test_no_other_token_opens_the_vault(
    vault: OwnVault, api: ApiServer, tmp_path: Path, account: str, namespace: str, audience: str
) -> None:
    """Another service account, namespace or audience is refused."""
    file = tmp_path / "token"
    file.write_text(api.token(account, namespace, audience))

    with pytest.raises(VaultUnavailable, match="refuses"):
        await login_of(vault, file, Seconds()).check()


async def test_a_refused_token_is_tried_again_and_a_new_one_at_once(
    vault: OwnVault, api: ApiServer, tmp_path: Path
) -> None:
    """The broker waits seconds, not minutes: the vault may be provisioned after the broker has started."""
    file, seconds = tmp_path / "token", Seconds()
    file.write_text(api.token("vault-broker"))
    api.forget(file.read_text())
    login = login_of(vault, file, seconds)
    for moment, words in ((0.0, "refuses"), (1.0, "after a pause"), (KUBERNETES_PAUSE, "refuses")):
        seconds.value += moment
        with pytest.raises(VaultUnavailable, match=words):
            await login.check()

    file.write_text(api.token("vault-broker"))
    await login.check()
    assert await login.request("GET", "transit/wrapping_key")
