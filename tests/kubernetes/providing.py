"""Where the files of pods come from: the overlay, the command for secrets, cert-manager, the cluster."""

import json
import subprocess
import sys
from base64 import b64decode
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import trustme

from deploy.private_files import write_private
from tests.kubernetes.manifests import Object, Workload, of_kind

SECONDS = 60
# Made by the cluster: the authority of the API server.
OF_THE_CLUSTER = {"kube-root-ca.crt": {"ca.crt": b"an authority"}}
HEX = "0" * 64
# As the Job provision-vault writes it to its log.
LOG = f"https://openbao:8200 is provisioned\nWRAPPING_KEY_FINGERPRINT={HEX}\nSEALING_KEY_FINGERPRINT={HEX}\n"

Contents = dict[tuple[str, str], dict[str, bytes]]


@cache
def written() -> tuple[Object, ...]:
    """Return the objects that the documented command prints for a new cluster with a provisioned vault."""
    with TemporaryDirectory() as directory:
        write_private(Path(directory) / "vault.token", b"a token\n")
        write_private(Path(directory) / "fingerprints.env", LOG.encode())
        command = [sys.executable, "-m", "deploy.kubernetes.secrets", "--directory", directory]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
        kept = {path.name: path.stat().st_mode & 0o777 for path in Path(directory).iterdir()}
    assert {*kept.values()} == {0o600}
    return tuple(json.loads(done.stdout)["items"])


@cache
def identity() -> dict[str, bytes]:
    """Return what cert-manager puts into the Secret of a Certificate."""
    authority = trustme.CA()
    issued = authority.issue_cert("nats")
    return {
        "ca.crt": authority.cert_pem.bytes(),
        "tls.crt": issued.cert_chain_pems[0].bytes(),
        "tls.key": issued.private_key_pem.bytes(),
    }


def contents(overlay: str) -> Contents:
    """Return the keys of all Secrets and ConfigMaps that exist in a cluster, by kind and name."""
    found: Contents = {("ConfigMap", name): dict(data) for name, data in OF_THE_CLUSTER.items()}
    for each in (*of_kind(overlay, "ConfigMap", "Secret"), *written()):
        key = (each["kind"], each["metadata"]["name"])
        assert key not in found
        encoded = each["kind"] == "Secret"
        found[key] = {
            name: b64decode(value) if encoded else value.encode() for name, value in each["data"].items()
        }
    for each in of_kind(overlay, "Certificate"):
        found["Secret", each["spec"]["secretName"]] = identity()
    return found


def files(pod: Workload, existing: Contents) -> dict[str, bytes]:
    """Return the files that a pod finds by their paths; raises KeyError for one that does not exist."""
    mounts = {each["name"]: each["mountPath"] for each in pod.container["volumeMounts"]}
    found: dict[str, bytes] = {}
    for volume in pod.spec.get("volumes", ()):
        sources = volume.get("projected", {}).get("sources", [volume])
        for source in sources:
            for path, content in _of_source(source, existing).items():
                place = f"{mounts[volume['name']]}/{path}"
                assert place not in found, place
                found[place] = content
    return found


def _of_source(source: Object, existing: Contents) -> dict[str, bytes]:
    if "serviceAccountToken" in source:
        return {source["serviceAccountToken"]["path"]: b"a token"}
    for kind, field, name in (("Secret", "secret", "name"), ("ConfigMap", "configMap", "name")):
        if field in source:
            told = source[field]
            data = existing[kind, told.get(name) or told["secretName"]]
            items = told.get("items") or [{"key": key, "path": key} for key in data]
            return {each["path"]: data[each["key"]] for each in items}
    return {}
