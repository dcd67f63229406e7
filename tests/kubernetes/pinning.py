"""Pins the images of a copy of the manifests, as an operator does."""

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.kubernetes.manifests import MANIFESTS, render

SECONDS = 60
# The overlay demo stands on this one.
BELOW = {"demo": ("single-node", "demo")}


def rendered_with_digests(overlay: str, directory: Path) -> str:
    """Return the rendered manifests of an overlay after `python -m deploy.kubernetes.digests`."""
    copy = directory / "manifests"
    if not copy.exists():
        shutil.copytree(MANIFESTS, copy, ignore=shutil.ignore_patterns("__pycache__", "rendered.yaml"))
    for each in BELOW.get(overlay, (overlay,)):
        file = copy / "overlays" / each / "images" / "kustomization.yaml"
        names = re.findall(r"- name: (\S+)", file.read_text())
        digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in names}
        lines = [f"{name} registry.example.org/{name} sha256:{digest}" for name, digest in digests.items()]
        command = [sys.executable, "-m", "deploy.kubernetes.digests", each, "--manifests", str(copy)]
        subprocess.run(command, input="\n".join(lines), text=True, timeout=SECONDS, check=True)
    return render(copy / "overlays" / overlay)
