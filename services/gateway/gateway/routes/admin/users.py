"""Users, named by id: disable and enable them, and end their sessions."""

from uuid import UUID

import msgspec
from litestar import delete, get, post

from gateway.http.answers import documented
from gateway.http.operating import OperatorRequest
from gateway.operators import people
from gateway.operators.people import UserState
from gateway.routes.parameters import Database

TAG = ["users"]
ACTING = documented(401, 403, 404, 429)


class EndedSessions(msgspec.Struct, frozen=True):
    """How many sessions of a user an operator has ended."""

    ended: int


@get("/api/v1/admin/users/{user_id:uuid}", responses=documented(401, 404, 429), tags=TAG)
async def show_user(user_id: UUID, pool: Database) -> UserState:
    """Show whether a user is disabled, and how many sessions are open."""
    return await people.show(pool, user_id)


@post("/api/v1/admin/users/{user_id:uuid}/disable", status_code=200, responses=ACTING, tags=TAG)
async def disable_user(user_id: UUID, request: OperatorRequest, pool: Database) -> UserState:
    """Disable a user: logins, refreshes and tokens are refused at once; open syncs get their outcome."""
    return await people.disable(pool, request.user, user_id)


@post("/api/v1/admin/users/{user_id:uuid}/enable", status_code=200, responses=ACTING, tags=TAG)
async def enable_user(user_id: UUID, request: OperatorRequest, pool: Database) -> UserState:
    """Enable a user again; the sessions that were not ended go on."""
    return await people.enable(pool, request.user, user_id)


@delete("/api/v1/admin/users/{user_id:uuid}/sessions", status_code=200, responses=ACTING, tags=TAG)
async def end_user_sessions(user_id: UUID, request: OperatorRequest, pool: Database) -> EndedSessions:
    """End all sessions of a user; their tokens stop working at once."""
    return EndedSessions(await people.end_sessions(pool, request.user, user_id))
