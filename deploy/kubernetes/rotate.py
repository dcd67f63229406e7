"""Rotate a key of a cluster: `python -m deploy.kubernetes.rotate --directory KEYS KEY`.

KEYS is the folder of `deploy.kubernetes.secrets`. The command changes the key in it, applies the objects with
kubectl, and replaces the pods that read them, step by step, while the system works. An interrupted command is
repeated, and goes on. Keys of the vault need its address and a token, as `deploy.vault` has them (VAULT_ADDR,
VAULT_TOKEN and VAULT_CACERT are defaults); some keys need the database, as `deploy.database` has it.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.kubernetes.cluster import ClusterPlace
from deploy.kubernetes.kubectl import Kubectl
from deploy.rotation.catalogue import ROTATIONS
from deploy.rotation.surroundings import RotationFailed

# What replaces the other keys of a cluster.
ELSEWHERE: Mapping[str, str] = {
    "login": "the broker logs in with the token of its pod, which the kubelet replaces each hour; "
    "`python -m deploy.vault --kubernetes-namespace NAMESPACE --renew-login` ends the tokens that it has",
    "certificates": "cert-manager replaces certificates before they end; "
    "`cmctl renew --namespace NAMESPACE --all` replaces them now",
}


def arguments(line: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line, by default that of the process, and the environment."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.kubernetes.rotate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add, told = parser.add_argument, os.environ.get
    names = sorted({*ROTATIONS, *ELSEWHERE})
    add("key", metavar="KEY", choices=names, help=", ".join(names))
    add("--directory", type=Path, required=True, help="the folder with the cluster's keys")
    add("--kubectl", default="kubectl", help="the program, which finds the cluster by its own settings")
    add("--namespace", default="butler")
    add("--database-url", help="postgresql://butler_owner@HOST:PORT/DATABASE?sslmode=..., without a password")
    add("--address", default=told("VAULT_ADDR"), help="https://HOST:PORT of the vault (VAULT_ADDR)")
    add("--token-file", type=Path, help="file with a token of the vault (VAULT_TOKEN)")
    add("--recovery-key-file", type=Path, help="file of the vault's recovery key, in place of a token")
    add("--ca-file", default=told("VAULT_CACERT"), help="authority of its certificate (VAULT_CACERT)")
    return parser.parse_args(line)


async def _rotate(key: str, place: ClusterPlace) -> None:
    """Rotate one key; raises RotationFailed."""
    await ROTATIONS[key](place)
    await place.apply()  # also what changed after the last step that read objects


def main() -> None:
    """Rotate one key; a failure is reported in one line, without a secret."""
    options = arguments()
    if options.key in ELSEWHERE:
        sys.exit(f"{options.key}: {ELSEWHERE[options.key].replace('NAMESPACE', options.namespace)}")
    kubectl = Kubectl(options.kubectl, options.namespace)
    place = ClusterPlace(options.directory, kubectl, options, options.database_url)
    try:
        place.check()
        asyncio.run(_rotate(options.key, place))
    except RotationFailed as error:
        sys.exit(f"{options.key} is not rotated yet: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{options.key} is not rotated yet: the same command goes on from here")
    place.tell(f"{options.key} is rotated: back {options.directory} up")


if __name__ == "__main__":
    main()
