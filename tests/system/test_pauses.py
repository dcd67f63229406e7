"""How a pause ends or stays, and the words for it, which match the account's state."""

import json
from typing import Any

import pytest

from contracts.remedies import Situation, Standing, became
from tests.conformance.simulated import Admin
from tests.system.person import credentials
from tests.system.watching import CONFIG, VERIFY_SECONDS, Watched, perm
from tests.waiting import until

TRADING = perm("read_only,trade")


def replaced(field: str, text: str) -> dict[str, Any]:
    """Make the exchange return another value in a field."""
    return {"fault": "replaced", "field": field, "text": json.dumps(text)}


async def paused(watched: Watched, admin: Admin) -> Any:
    """Pause an account and return the sync that found the reason."""
    await admin.put("plain", CONFIG, TRADING | {"times": 1})
    sync = await watched.sync()
    assert sync["error_code"] == "over_privileged_key"
    return sync


async def resumed(watched: Watched) -> bool:
    """Return whether the pause has ended."""
    return (await watched.shown())["paused"] is None


async def test_a_verification_that_fails_for_a_moment_is_soon_tried_again(
    watched: Watched, admin: Admin
) -> None:
    """The exchange was busy: the pause does not last for further minutes."""
    await paused(watched, admin)
    await admin.put("plain", CONFIG, {"fault": "page", "status": 502, "times": 2})
    await watched.make_due()

    await until(lambda: resumed(watched), VERIFY_SECONDS)

    assert await admin.struck("plain", CONFIG) == 2


@pytest.mark.parametrize(
    "beside", [replaced("mainUid", ""), replaced("ip", "here")], ids=["master", "address"]
)
async def test_a_pause_ends_whatever_stands_beside_the_rights(
    watched: Watched, admin: Admin, beside: dict[str, Any]
) -> None:
    """A verification needs the same as a sync: the owner of the key and its rights."""
    await paused(watched, admin)
    await admin.put("plain", CONFIG, beside)
    await watched.make_due()

    await until(lambda: resumed(watched), VERIFY_SECONDS)


async def test_a_key_without_the_right_to_read_stays_paused(watched: Watched, admin: Admin) -> None:
    """The user is told; a sync does not help, and the right to read ends the pause."""
    await paused(watched, admin)
    await admin.put("plain", CONFIG, perm(""))

    await watched.verified()

    shown = await watched.shown()
    assert (shown["paused"]["reason"], shown["paused"]["rights"]) == ("permission_missing", [])
    assert "Give the key the Read permission" in shown["next_action"]
    assert shown["next_action"] in (await watched.sync(409))["detail"]
    await admin.clear("plain", CONFIG)
    await watched.make_due()
    await until(lambda: resumed(watched), VERIFY_SECONDS)


async def test_a_key_that_is_refused_leaves_a_paused_account_paused(watched: Watched, admin: Admin) -> None:
    """The response does not say that an old key stays in use, before and after the secret is deleted."""
    await paused(watched, admin)
    await admin.put("plain", CONFIG, TRADING)
    path = f"{watched.path}/credentials"
    wrong = {"credentials": credentials("plain", api_secret="0" * 32)}
    pasted = {"credentials": credentials("plain", passphrase="\u00fc")}

    for standing in (Standing.PAUSED, Standing.KEYLESS):
        if standing is Standing.KEYLESS:
            await watched.make_due()

            async def given_up() -> bool:
                return bool((await watched.shown())["paused"]["secret_destroyed"])

            await until(given_up, VERIFY_SECONDS)
        refused = await watched.person.put(path, wrong | {"region": "eea"}, 422)
        assert became(Situation.REPLACE, standing) in refused["detail"]
        unread = await watched.person.put(path, pasted, 400)
        assert became(Situation.REPLACE, standing, stored=False) in unread["detail"]


async def test_a_sync_is_told_as_its_account_stands(watched: Watched, admin: Admin) -> None:
    """The sync that paused the account: while paused, after the pause, and after the deletion."""
    sync = await paused(watched, admin)
    path = f"/syncs/{sync['sync_id']}"
    assert sync["next_action"].startswith("The account is paused")

    await watched.make_due()
    await until(lambda: resumed(watched), VERIFY_SECONDS)
    listed = (await watched.person.get(f"{watched.path}/syncs"))["items"][0]
    ended = "The account is not paused now, and we use its key: sync again."
    assert (await watched.person.get(path))["next_action"] == listed["next_action"] == ended

    await watched.person.client.delete(watched.path)
    assert (await watched.person.get(path))["next_action"].startswith("The account was deleted meanwhile.")


async def test_a_repeated_sync_of_a_paused_account_promises_no_other(watched: Watched, admin: Admin) -> None:
    """A new Idempotency-Key does not help until the pause has ended."""
    await admin.put("plain", CONFIG, TRADING | {"times": 1})
    path, key = f"{watched.path}/sync", "once"
    await watched.person.post(path, Idempotency_Key=key)

    while_paused = (await watched.person.post(path, Idempotency_Key=key))["next_action"]
    await watched.make_due()
    await until(lambda: resumed(watched), VERIFY_SECONDS)
    afterwards = (await watched.person.post(path, Idempotency_Key=key))["next_action"]

    assert "The account is paused" in while_paused
    assert "a new Idempotency-Key" not in while_paused
    assert "The account is paused" not in afterwards
    assert "a new Idempotency-Key" in afterwards


async def test_a_right_that_is_not_known_is_named_when_a_key_is_submitted(
    watched: Watched, admin: Admin
) -> None:
    """POST and PUT return the same words as a sync."""
    await admin.put("plain", CONFIG, perm("read_only,lend"))

    connecting = await watched.person.connect("plain", 422)
    key = {"credentials": credentials("plain")}
    replacing = await watched.person.put(f"{watched.path}/credentials", key, 422)

    for problem in (connecting, replacing):
        assert (problem["code"], problem["rights"]) == ("unknown_right", ["lend"])
        assert "lend" in problem["detail"]
