"""Where the files of pods come from: the overlay, the command for secrets, cert-manager, the cluster."""

import json
import re
import subprocess
import sys
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import trustme

from deploy.private_files import write_private
from tests.kubernetes.manifests import Object, Workload, of_kind, workload

SECONDS = 60
# Made by the cluster: the authority of the API server.
OF_THE_CLUSTER = {"kube-root-ca.crt": {"ca.crt": b"an authority"}}
HEX = "0" * 64
# A path in the configuration of a server.
PLACE = re.compile(r'"(/(?:run|data|var)[^"]*)"')
# As the Job provision-vault writes it to its log.
LOG = f"https://openbao:8200 is provisioned\nWRAPPING_KEY_FINGERPRINT={HEX}\nSEALING_KEY_FINGERPRINT={HEX}\n"

Contents = dict[tuple[str, str], dict[str, bytes]]
# Returns the token of a pod for an audience; without one it is meant for the API server.
Issue = Callable[[str | None], bytes]


@cache
def written() -> tuple[Object, ...]:
    """Return the objects that the documented command prints for a new cluster with a provisioned vault."""
    with TemporaryDirectory() as directory:
        write_private(Path(directory) / "vault.token", b"a token\n")
        write_private(Path(directory) / "fingerprints.env", LOG.encode())
        found = printed(Path(directory))
        kept = {path.name: path.stat().st_mode & 0o777 for path in Path(directory).iterdir()}
    assert {*kept.values()} == {0o600}
    return found


def printed(directory: Path) -> tuple[Object, ...]:
    """Return what the documented command prints with a folder of keys."""
    command = [sys.executable, "-m", "deploy.kubernetes.secrets", "--directory", str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    return tuple(json.loads(done.stdout)["items"])


@cache
def authority() -> trustme.CA:
    """Return the authority of cert-manager, the same for all tests of this process."""
    return trustme.CA()


def identity(certificate: Object, *names: str) -> dict[str, bytes]:
    """Return what cert-manager puts into the Secret of a Certificate, valid also for `names`."""
    told, signer = certificate["spec"], authority()
    if told.get("isCA"):
        return {"tls.crt": signer.cert_pem.bytes(), "tls.key": signer.private_key_pem.bytes()}
    issued = signer.issue_cert(*told["dnsNames"], *told.get("ipAddresses", ()), *names)
    return {
        "ca.crt": signer.cert_pem.bytes(),
        "tls.crt": issued.cert_chain_pems[0].bytes(),
        "tls.key": issued.private_key_pem.bytes(),
    }


def contents(overlay: str, made: Iterable[Object] | None = None, *names: str) -> Contents:
    """Return the keys of all Secrets and ConfigMaps that exist in a cluster, by kind and name.

    `made` are the objects of the documented command, by default those of a cluster of its own. `names` are
    further names of all certificates.
    """
    found: Contents = {("ConfigMap", name): dict(data) for name, data in OF_THE_CLUSTER.items()}
    for each in (*of_kind(overlay, "ConfigMap", "Secret"), *(written() if made is None else made)):
        key = (each["kind"], each["metadata"]["name"])
        assert key not in found
        encoded = each["kind"] == "Secret"
        found[key] = {
            name: b64decode(value) if encoded else value.encode() for name, value in each["data"].items()
        }
    for each in of_kind(overlay, "Certificate"):
        found["Secret", each["spec"]["secretName"]] = identity(each, *names)
    return found


def files(pod: Workload, existing: Contents) -> dict[str, bytes]:
    """Return the files of a pod's server by their paths; raises KeyError for one that does not exist."""
    mounts = {each["name"]: each["mountPath"] for each in pod.container["volumeMounts"]}
    return {
        f"{mounts[volume['name']]}/{path}": content
        for volume in pod.spec.get("volumes", ())
        if volume["name"] in mounts
        for path, content in of_volume(volume, existing, lambda _: b"a token").items()
    }


def of_volume(volume: Object, existing: Contents, token: Issue) -> dict[str, bytes]:
    """Return the files of a volume of a pod; raises KeyError for one that does not exist."""
    found: dict[str, bytes] = {}
    for source in volume.get("projected", {}).get("sources", [volume]):
        for path, content in _of_source(source, existing, token).items():
            assert path not in found, path
            found[path] = content
    return found


def write_server(overlay: str, directory: Path, existing: Contents) -> Path:
    """Write the files of a NATS server as its pod finds them, under a directory; return the main one."""
    for place, content in files(workload(overlay, "nats"), existing).items():
        path = directory / place.removeprefix("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PLACE.sub(lambda found: f'"{directory}{found[1]}"', content.decode()))
    return directory / "etc" / "nats" / "nats.conf"


def _of_source(source: Object, existing: Contents, token: Issue) -> Mapping[str, bytes]:
    if "serviceAccountToken" in source:
        told = source["serviceAccountToken"]
        return {told["path"]: token(told.get("audience"))}
    for kind, field, name in (("Secret", "secret", "name"), ("ConfigMap", "configMap", "name")):
        if field in source:
            told = source[field]
            data = existing[kind, told.get(name) or told["secretName"]]
            items = told.get("items") or [{"key": key, "path": key} for key in data]
            return {each["path"]: data[each["key"]] for each in items}
    return {}
