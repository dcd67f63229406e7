"""Print the CycloneDX SBOM of the image in which this runs: `python - NAME VERSION IMAGE_ID TIME < sbom.py`.

It lists the installed distributions of Python and packages of Debian, and uses only the standard library.
"""

import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

STATUS = Path("/var/lib/dpkg/status")
Component = dict[str, str]


def python_components() -> Iterator[Component]:
    """Yield the distributions of Python's path."""
    for found in distributions():
        name = re.sub(r"[-_.]+", "-", found.name).lower()
        yield component(name, found.version, f"pkg:pypi/{name}@{quote(found.version)}")


def debian_components() -> Iterator[Component]:
    """Yield the packages of dpkg; none on a base without it."""
    for text in STATUS.read_text().split("\n\n") if STATUS.exists() else ():
        fields = dict(line.split(": ", 1) for line in text.splitlines() if re.match(r"[A-Z][\w-]*: ", line))
        if fields.get("Status") == "install ok installed":
            name, version = fields["Package"], fields["Version"]
            purl = f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={fields['Architecture']}"
            yield component(name, version, purl)


def component(name: str, version: str, purl: str) -> Component:
    """Return a component."""
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def sbom(name: str, version: str, image: str, created: str) -> dict[str, object]:
    """Return the document of an image; `created` may be empty."""
    algorithm, _, content = image.partition(":")
    hashes = [{"alg": "SHA-256", "content": content}] if algorithm == "sha256" else []
    subject = {"type": "container", "bom-ref": name, "name": name, "version": version, "hashes": hashes}
    components = {each["purl"]: each for each in (*python_components(), *debian_components())}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, image)}",
        "version": 1,
        "metadata": {**({"timestamp": created} if created else {}), "component": subject},
        "components": [components[purl] for purl in sorted(components)],
    }


if __name__ == "__main__":
    json.dump(sbom(*sys.argv[1:5]), sys.stdout, indent=1)
    sys.stdout.write("\n")
