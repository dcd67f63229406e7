"""A bare Litestar application that answers with the bytes of files: the least that our stack can do."""

import os
from pathlib import Path

from litestar import Litestar, Response, get

ANSWERS = {file.stem: file.read_bytes() for file in Path(os.environ["BARE_FOLDER"]).glob("*.json")}


@get("/{name:str}", sync_to_thread=False)
def answer(name: str) -> Response[bytes]:
    """Return the bytes of a file."""
    return Response(ANSWERS[name], media_type="application/json")


app = Litestar([answer], openapi_config=None)
