"""What a client is told when a request ended in a way that does not say whether it was done."""

from typing import Any, cast

from litestar.types import Scope

from contracts.remedies import ROUTES, Situation

AGAIN = "Send the request again in a moment."
UNSURE = {
    Situation.CONNECT: (
        "Look at GET /accounts: if the account is not there, we delete the key, and you must submit it again "
        f"in a moment {ROUTES[Situation.CONNECT]}."
    ),
    Situation.REPLACE: (
        "Either the account has the new key, or it stands as it did and we delete the new one. Submit the "
        f"new key again in a moment {ROUTES[Situation.REPLACE]}."
    ),
}


def afterwards(scope: Scope) -> str:
    """Say what to do now; where a key was submitted, what happened to it. Routes say so by `situation`."""
    handler = cast("dict[str, Any]", scope).get("route_handler")  # None while no route has been found
    return AGAIN if handler is None else UNSURE.get(handler.opt.get("situation"), AGAIN)
