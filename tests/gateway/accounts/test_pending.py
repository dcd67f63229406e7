"""A credential that the request does not keep is doomed, however the request ends."""

from collections.abc import Awaitable, Callable

import pytest

from contracts.faults import Code, failure
from gateway.accounts.pending import Pending, pending
from gateway.errors import AccountExists
from gateway.store import credentials
from tests.gateway.accounts.submitting import CREDENTIALS, Scene

ENDS: list[tuple[Callable[[], Exception], str | None]] = [
    (lambda: failure(Code.KEY_REJECTED), Code.KEY_REJECTED),
    (AccountExists, "account_exists"),
    (ZeroDivisionError, None),
]


@pytest.mark.parametrize(("end", "code"), ENDS)
async def test_what_is_not_kept_is_doomed(
    scene: Scene, end: Callable[[], Exception], code: str | None
) -> None:
    """The request ends as usual, and the audit has its code if it has one."""
    await scene.registered()
    raised = end()

    with pytest.raises(type(raised)) as caught:
        async with pending(scene.intake.pool, scene.intake.destroyer, scene.submission()):
            raise raised

    assert caught.value is raised
    assert await scene.rows(CREDENTIALS) == [("doomed", True)]
    assert await scene.refusals() == [code]


async def failing(scene: Scene, work: Callable[[Pending], Awaitable[None]]) -> None:
    """Use a credential, and then fail."""
    async with pending(scene.intake.pool, scene.intake.destroyer, scene.submission()) as credential:
        await work(credential)
        raise ZeroDivisionError


async def test_what_is_kept_stays(scene: Scene) -> None:
    """It stays even if the request fails afterwards."""

    async def kept(credential: Pending) -> None:
        credential.keep()

    await scene.registered()

    with pytest.raises(ZeroDivisionError):
        await failing(scene, kept)

    assert await scene.states() == ["pending"]
    assert await scene.refusals() == []


async def test_what_became_live_is_not_doomed(scene: Scene) -> None:
    """The commit succeeded, although its response was lost before the credential was kept."""

    async def committed(credential: Pending) -> None:
        async with scene.intake.pool.transaction() as connection:
            await credentials.set_live(connection, credential.id)

    await scene.registered()

    with pytest.raises(ZeroDivisionError):
        await failing(scene, committed)

    assert await scene.states() == ["live"]


async def test_what_is_on_its_way_is_destroyed_later(scene: Scene) -> None:
    """While the broker may still be storing it, an immediate destruction would find no credential."""
    await scene.registered()

    async with pending(scene.intake.pool, scene.intake.destroyer, scene.submission()) as credential:
        credential.handed_over = True

    assert await scene.rows(CREDENTIALS) == [("doomed", False)]
