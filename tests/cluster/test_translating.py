"""The translation of manifests to containers leaves nothing out."""

from copy import deepcopy

import pytest

from tests.cluster.translating import refuse_unknown, reloader_of, security, translated
from tests.kubernetes.manifests import Workload, every, workload, workloads
from tests.kubernetes.providing import contents

OVERLAY = "demo"


@every()
def test_each_workload_is_translated(overlay: str) -> None:
    """All overlays have only fields that a container can have, or that choose a machine."""
    existing = contents(overlay)
    for pod in workloads(overlay):
        found = [translated(overlay, pod.name, existing)]
        if pod.reloader:
            found.append(reloader_of(overlay, pod.name, existing))
        for made in found:
            restricted = (made.user, made.read_only, made.dropped, made.escalates)
            assert restricted == ("10001:10001", True, ["ALL"], False)
            assert made.memory
            assert all(volume.files or pod.kind == "StatefulSet" for volume in made.volumes)


def test_a_container_is_as_its_manifest_says() -> None:
    """User, files, temporary folders, variables, ports, names and limits come from it."""
    made = translated(OVERLAY, "openbao", contents(OVERLAY))
    mounts = {volume.path: volume for volume in made.volumes}

    assert (made.pod, made.entrypoint) == (
        "openbao-0",
        [
            "bao",
            "server",
            "-config=/etc/openbao/openbao.json",
            "-config=/run/secrets/butler/seal-configuration.json",
        ],
    )
    assert made.environment["BAO_API_ADDR"] == "https://openbao-0.openbao-servers:8200"
    assert {*mounts["/run/secrets/butler"].files} == {
        *("ca.crt", "tls.crt", "tls.key", "seal.key", "seal-configuration.json")
    }
    assert {file.mode for file in mounts["/run/secrets/butler"].files.values()} == {0o440}
    assert (mounts["/openbao/data"].read_only, mounts["/etc/openbao"].read_only) == (False, True)
    assert made.temporary == {"/tmp": f"rw,exec,mode=0777,uid=10001,gid=10001,size={16 * 1024**2}"}  # noqa: S108
    assert made.ports == {"api": 8200, "cluster": 8201}
    assert {"openbao", "openbao-0.openbao-servers"} <= {*made.names}
    assert made.memory == 512 * 1024**2


def test_a_token_is_that_of_the_pod_and_its_audience() -> None:
    """The broker's is meant for the vault, the vault's for the API server."""
    issued = [
        volume.files[path].content
        for name, path in (("vault-broker", "vault-token"), ("openbao", "token"))
        for volume in translated(
            OVERLAY, name, contents(OVERLAY), lambda account, audience: f"{account} {audience}".encode()
        ).volumes
        if path in volume.files
    ]

    assert issued == [b"vault-broker vault", b"openbao None"]


@pytest.mark.parametrize(
    ("place", "field"),
    [("pod", "hostNetwork"), ("container", "envFrom"), ("security", "procMount")],
)
def test_a_field_without_translation_is_an_error(place: str, field: str) -> None:
    """Otherwise the tests would run something else than a cluster."""
    pod = workload(OVERLAY, "gateway")
    changed = Workload(pod.name, pod.kind, deepcopy(pod.template))
    places = {"pod": changed.spec, "container": changed.spec["containers"][0]}
    places["security"] = places["container"]["securityContext"]
    places[place][field] = True

    with pytest.raises(AssertionError, match=field):
        refuse_unknown(changed, changed.container, security(changed))


def test_a_file_without_a_source_is_an_error() -> None:
    """A Secret that no command makes leaves its pod without a start."""
    existing = contents(OVERLAY)
    del existing["Secret", "gateway-database"]

    with pytest.raises(KeyError, match="gateway-database"):
        translated(OVERLAY, "gateway", existing)
