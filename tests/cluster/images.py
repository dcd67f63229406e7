"""The images of the containers: those that settings name, that `base.sh` has made, or of the manifests."""

import os

from tests.containers.engine import docker

# By the name before the tag in the manifests: the setting that replaces it, and the image of base.sh.
SERVERS = {
    "nats": ("NATS_IMAGE", "butler-nats:local"),
    "quay.io/openbao/openbao": ("OPENBAO_IMAGE", "butler-openbao:local"),
    "postgres": ("POSTGRES_IMAGE", "butler-postgres:local"),
}
# The wheel of PostgreSQL was built without it.
WITHOUT_TLS = "butler-postgres:"


def image_of(named: str) -> str:
    """Return the image to run in place of the one that a manifest names; TAG replaces the tag of ours."""
    name, _, tag = named.partition(":")
    if name not in SERVERS:
        return f"{name}:{os.environ.get('TAG') or tag}"
    setting, local = SERVERS[name]
    made = local if docker("image", "inspect", local).worked else named
    return os.environ.get(setting) or made
