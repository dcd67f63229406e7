"""Dead letters: list, replay and drop them."""

from typing import Annotated

from litestar import delete, get, post
from litestar.di import NamedDependency
from litestar.params import Parameter

from gateway.http.answers import documented
from gateway.http.operating import OperatorRequest
from gateway.operators.dead_letters import LAST, DeadLetters, Page, Range, Settled

TAG = ["dead letters"]
SEVERAL = documented(401, 403, 429)
ONE = documented(401, 403, 404, 429)

Sequence = Annotated[int, Parameter(ge=1, le=LAST)]
PageSize = Annotated[int, Parameter(ge=1, le=50)]
Letters = NamedDependency[DeadLetters]


@get("/api/v1/admin/dead-letters", responses=documented(401, 429), tags=TAG)
async def list_dead_letters(letters: Letters, cursor: Sequence = 1, limit: PageSize = 20) -> Page:
    """List dead letters without their bodies, the oldest first; `cursor` is a page's `next_cursor`."""
    return await letters.page(cursor, limit)


@post(
    "/api/v1/admin/dead-letters/{sequence:int}/replay",
    status_code=204,
    responses=documented(401, 403, 404, 409, 429),
    tags=TAG,
)
async def replay_dead_letter(sequence: int, request: OperatorRequest, letters: Letters) -> None:
    """Publish a message once more, as it was, and delete its dead letter when the stream has taken it.

    The outcome of a sync that has ended changes nothing: the first one stays.
    """
    await letters.replay(request.user, sequence)


@delete("/api/v1/admin/dead-letters/{sequence:int}", responses=ONE, tags=TAG)
async def drop_dead_letter(sequence: int, request: OperatorRequest, letters: Letters) -> None:
    """Delete a dead letter."""
    await letters.drop(request.user, sequence)


@post("/api/v1/admin/dead-letters/replay", status_code=200, responses=SEVERAL, tags=TAG)
async def replay_dead_letters(data: Range, request: OperatorRequest, letters: Letters) -> Settled:
    """Replay up to 100 dead letters, the oldest first; `cursor` of the next request is `next_cursor`."""
    return await letters.replay_all(request.user, data)


@delete("/api/v1/admin/dead-letters", status_code=200, responses=SEVERAL, tags=TAG)
async def drop_dead_letters(
    request: OperatorRequest, letters: Letters, before: Sequence, cursor: Sequence = 1
) -> Settled:
    """Delete up to 100 dead letters before a sequence number, the oldest first."""
    return await letters.drop_all(request.user, Range(before, cursor))
