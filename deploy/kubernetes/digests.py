"""Pin the images of an overlay: `python -m deploy.kubernetes.digests OVERLAY < FILE`.

FILE has a line for each image: its name in the manifests, the repository to pull it from, and the digest:

    butler-gateway registry.example.org/butler-gateway sha256:0123...

`skopeo inspect --format '{{.Digest}}' docker://IMAGE:TAG` prints a digest. The command writes them to
overlays/OVERLAY/images/kustomization.yaml, and keeps the tags as comments.
"""

import argparse
import re
import sys
from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).parent
LINE = re.compile(r"(?P<name>[a-z0-9-]+) (?P<repository>[\w.:/-]+) (?P<digest>sha256:[0-9a-f]{64})")
IMAGE = re.compile(r"^  - name: (?P<name>\S+)\n(?P<rest>(?:    .*\n)*)", re.MULTILINE)
TAG = re.compile(r"(?:newTag: |# tag )(\S+)")


class Unknown(Exception):
    """A line is not valid, or names an image that the overlay does not have."""


def pinned(written: str, lines: Iterable[str]) -> str:
    """Return the kustomization with these digests; raises Unknown."""
    told = {}
    for line in filter(None, map(str.strip, lines)):
        found = LINE.fullmatch(line)
        if found is None:
            raise Unknown(f"not a valid line: {line}")
        told[found["name"]] = found
    if missing := told.keys() - {found["name"] for found in IMAGE.finditer(written)}:
        raise Unknown(f"the overlay has no image of this name: {', '.join(sorted(missing))}")

    def entry(image: re.Match[str]) -> str:
        new = told.get(image["name"])
        if new is None:
            return image[0]
        tag = TAG.search(image["rest"])
        comment = f"    # tag {tag[1]}\n" if tag else ""
        return (
            f"  - name: {new['name']}\n{comment}"
            f"    newName: {new['repository']}\n    digest: {new['digest']}\n"
        )

    return IMAGE.sub(entry, written)


def main() -> None:
    """Rewrite the file of the overlay; a line that is not valid changes nothing."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.kubernetes.digests",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("overlay")
    parser.add_argument("--manifests", type=Path, default=HERE, help="folder of the overlays")
    options = parser.parse_args()
    file = options.manifests / "overlays" / options.overlay / "images" / "kustomization.yaml"
    try:
        file.write_text(pinned(file.read_text(), sys.stdin))
    except (OSError, Unknown) as error:
        sys.exit(f"nothing is pinned: {error}")


if __name__ == "__main__":
    main()
