"""Texts for a request that failed without knowing whether its change was made."""

from enum import StrEnum
from typing import Any, cast

from litestar.types import Scope

from contracts.remedies import ROUTES, Situation

AGAIN = "Send the request again in a moment."


class Doing(StrEnum):
    """Changes that a request makes without submitting a key."""

    REGISTER = "register"
    REFRESH = "refresh"
    SIGN_OUT = "sign out"
    CHANGE_PASSWORD = "change password"  # noqa: S105 - an act
    DELETE_USER = "delete user"
    END_SESSION = "end session"
    CHANGE_ZONE = "change zone"
    CHANGE_ACCOUNT = "change account"
    DELETE_ACCOUNT = "delete account"
    SYNC = "sync"
    SET_PRICE = "set price"
    DELETE_PRICE = "delete price"
    OFFER_KEY = "offer key"
    END_OFFER = "end offer"
    JOIN_ASSETS = "join assets"
    SPLIT_ASSETS = "split assets"


UNSURE: dict[Situation | Doing, str] = {
    Situation.CONNECT: (
        "Look at GET /accounts: if the account is not there, we delete the key, and you must submit it again "
        f"in a moment {ROUTES[Situation.CONNECT]}, with its `offer` if it had one."
    ),
    Situation.REPLACE: (
        "Either the account has the new key, or it stands as it did and we delete the new one. Submit the "
        f"new key again in a moment {ROUTES[Situation.REPLACE]}, with its `offer` if it had one."
    ),
    Doing.REGISTER: (
        "You may be registered or not. Sign in in a moment with this email address and password; if that is "
        "refused, register again."
    ),
    Doing.REFRESH: (
        "The refresh token may be used up or not. Send it again within 20 seconds: it gets the same "
        "successor. If it is refused, or later, sign in again."
    ),
    Doing.SIGN_OUT: (
        "You may be signed out or not: the session has ended once its refresh token is refused. If that gets "
        "new tokens, sign out with them. GET /me/sessions after a new login lists the session while it lives."
    ),
    Doing.CHANGE_PASSWORD: (
        "The password may be changed or not; if it is, every other session has ended. Sign in in a moment "
        "with the new password; if that is refused, the old one still holds: send the request again."
    ),
    Doing.DELETE_USER: (
        "You may be deleted or not. Sign in in a moment with the password: if that is refused, you are "
        "deleted; if you are signed in, send the request again."
    ),
    Doing.END_SESSION: (
        "The session may have ended or not. GET /me/sessions in a moment, after a new login if your access "
        "token is refused: it lists those that did not end. Send the request again for them."
    ),
    Doing.CHANGE_ZONE: (
        "The time zone may be set or not. Look at GET /me in a moment, or send the request again."
    ),
    Doing.CHANGE_ACCOUNT: (
        "The account may be changed or not. GET /accounts in a moment: it shows its name and its schedule. "
        "If these are the old ones, send the request again."
    ),
    Doing.DELETE_ACCOUNT: (
        "The account may be deleted or not. GET /accounts in a moment: if the account is still there, send "
        "the request again."
    ),
    Doing.SYNC: (
        "A sync may have begun or not. Send the request again in a moment, with the same Idempotency-Key if "
        "it has one: a sync that is open is joined."
    ),
    Doing.SET_PRICE: (
        "Your price may be set or not. GET the price in a moment: `value_usd` shows the one that counts. If "
        "it is not yours, send the request again."
    ),
    Doing.DELETE_PRICE: (
        "Your price may be deleted or not. GET the price in a moment: while `method` is manual, it is there. "
        "Send the request again then."
    ),
    Doing.OFFER_KEY: (
        "An offer may be made or not. GET /key-offers in a moment: if a new one is there, use it, or give it "
        "up with DELETE /key-offers/{id}. If not, send the request again."
    ),
    Doing.END_OFFER: (
        "The offer may be given up or not. GET /key-offers in a moment: if it is still there, send the "
        "request again."
    ),
    Doing.JOIN_ASSETS: (
        "The names may be joined or not. GET the same address in a moment: `joined` says so. Send the "
        "request again if they are not."
    ),
    Doing.SPLIT_ASSETS: (
        "The names may be split or not. GET the same address in a moment: `joined` says so. Send the "
        "request again if they are not."
    ),
}


def afterwards(scope: Scope) -> str:
    """Return what may have changed and how to check; every route that changes data has a `situation`."""
    handler = cast("dict[str, Any]", scope).get("route_handler")  # None if no route was found
    return AGAIN if handler is None else UNSURE.get(handler.opt.get("situation"), AGAIN)
