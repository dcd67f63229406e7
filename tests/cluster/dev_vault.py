"""A Vault in development mode in place of the pod `openbao`: HashiCorp's own, where it can be pulled.

It cannot start from the configuration of the manifests, because its own Vault has no static seal.
"""

import json
import os
from dataclasses import replace
from typing import Any

from tests.cluster.pods import Pod
from tests.cluster.translating import File, Settings, Volume

# The setting that names its image, for example hashicorp/vault:1.21.
IMAGE = "VAULT_IMAGE"
PORT = 8210
ROOT_TOKEN = "root-of-tests"
FOLDER = "/run/development"
SECRETS = "/run/secrets/butler"
TLS = {
    "address": "0.0.0.0:8200",
    "tls_cert_file": f"{SECRETS}/tls.crt",
    "tls_key_file": f"{SECRETS}/tls.key",
}


class DevVault(Pod):
    """The pod of a Vault that forgets all when it ends."""

    def _confined(self) -> dict[str, Any]:
        return {**super()._confined(), "cap_add": ["IPC_LOCK"]}


def in_development(openbao: Settings) -> Settings:
    """Return the settings of such a Vault with the names, files, ports and probes of the pod of OpenBao.

    It listens with TLS where the services look for it, and without TLS on a port that no pod knows.
    """
    configuration = File(json.dumps({"listener": [{"tcp": TLS}]}).encode(), 0o444)
    listener = Volume(FOLDER, read_only=True, files={"listener.json": configuration})
    files = [volume for volume in openbao.volumes if volume.files and volume.path != "/etc/openbao"]
    address = f"0.0.0.0:{PORT}"
    return replace(
        openbao,
        image=os.environ[IMAGE],
        entrypoint=None,
        arguments=["server", "-dev", "-dev-no-store-token", f"-config={FOLDER}/listener.json"],
        environment={
            "VAULT_DEV_ROOT_TOKEN_ID": ROOT_TOKEN,
            "VAULT_DEV_LISTEN_ADDRESS": address,
            "BAO_DEV_LISTEN_ADDRESS": address,
            "SKIP_SETCAP": "1",
        },
        # The program has a capability of its own, which it could not have otherwise.
        dropped=[],
        escalates=True,
        read_only=False,
        volumes=[*files, listener],
    )
