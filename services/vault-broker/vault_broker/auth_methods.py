"""The methods by which the broker logs in at the vault: AppRole, or Kubernetes with a token of its pod."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

# The role of the broker in either method.
ROLE = "vault-broker"
# Unless our provisioning configured it otherwise, a vault locks a role out after five failed logins, and
# resets the count only after 15 minutes without any.
PAUSE_AFTER_REFUSAL = 16 * 60.0
# Kubernetes auth has no lockout, and the role may not exist before the vault is provisioned.
KUBERNETES_PAUSE = 10.0


class Method(msgspec.Struct, frozen=True):
    """A login: the path to post to, the fixed fields, and the files with the others.

    After a refusal the broker waits `pause` seconds, or until a file has changed.
    """

    path: str
    files: Mapping[str, Path]
    fields: Mapping[str, str]
    pause: float


def approle(role_id_file: Path, secret_id_file: Path) -> Method:
    """Return the login with a role id and a secret id."""
    files = {"role_id": role_id_file, "secret_id": secret_id_file}
    return Method("auth/approle/login", files, {}, PAUSE_AFTER_REFUSAL)


def kubernetes(token_file: Path) -> Method:
    """Return the login with the projected token of a service account, which the kubelet replaces."""
    return Method("auth/kubernetes/login", {"jwt": token_file}, {"role": ROLE}, KUBERNETES_PAUSE)
