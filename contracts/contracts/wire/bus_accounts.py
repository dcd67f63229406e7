"""The accounts of the NATS server, generated from the table of rights.

The server checks the subject of a message, but not its reply subject. So each user has an account of its own,
without JetStream, which imports only the subjects of its row: no reply subject can reach another account.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from contracts.wire.bus_users import STREAMS_ACCOUNT, USERS, User, overlap
from contracts.wire.subscribers import Subscriber

SERVICE, STREAM = "service", "stream"
MANY_ANSWERS = "$JS.API.CONSUMER.MSG.NEXT."
# The server gives an account without JetStream an import of `$JS.API.>` from its system account. That account
# would also answer each request, and first, unless the account imports this subject from elsewhere (2.15.1).
JETSTREAM_INFO, NOWHERE = "$JS.API.INFO", "butler.nowhere"


class Crossing(msgspec.Struct, frozen=True):
    """A subject that one account exports and others import, for requests or as a stream of messages.

    The importer uses the name `imported_as` if that is not empty.
    """

    kind: str
    subject: str
    exporter: str
    imported_as: str = ""


def server_accounts(
    public_keys: Mapping[str, tuple[str, ...]], subscribers: Iterable[Subscriber] = ()
) -> str:
    """Return the accounts of the NATS server's configuration.

    `public_keys` maps each user's name, and `system` for the system account, to its public nkeys: two while
    one replaces the other. Raises KeyError for a user without a key.
    """
    subscribers = list(subscribers)
    users = (*USERS, *(subscriber.user for subscriber in subscribers))
    keys = {**public_keys, **{subscriber.name: (subscriber.public_key,) for subscriber in subscribers}}
    exports = _exports(users)
    accounts = "\n".join(_account_block(user, keys[user.name], exports) for user in users)
    return f"accounts {{\n{accounts}\n  SYSTEM {{ {_users(keys['system'])} }}\n}}\nsystem_account: SYSTEM\n"


def imports(user: User) -> Iterator[Crossing]:
    """Return the imports of a user's account.

    The server forwards no import to a third account, so each stream is imported from the account of the user
    that publishes it. A user receives the messages of its own account without an import.
    """
    if user.unrestricted:
        return
    answering = {subject: other.account for other in USERS for subject in other.answers}
    yield Crossing(SERVICE, NOWHERE, STREAMS_ACCOUNT, JETSTREAM_INFO)
    for subject in user.publish:
        yield Crossing(SERVICE, subject, answering.get(subject, STREAMS_ACCOUNT))
    for subject in user.hears:
        speakers = {other.account for other in USERS if any(overlap(said, subject) for said in other.publish)}
        yield from (Crossing(STREAM, subject, speaker) for speaker in sorted(speakers - {user.account}))


def _exports(users: Iterable[User]) -> dict[str, dict[Crossing, list[str]]]:
    """Return the exports of each account, and the accounts that may import them."""
    exports: dict[str, dict[Crossing, list[str]]] = defaultdict(lambda: defaultdict(list))
    for user in users:
        for crossing in imports(user):
            exports[crossing.exporter][crossing].append(user.account)
    return exports


def _account_block(
    user: User, public_keys: tuple[str, ...], exports: dict[str, dict[Crossing, list[str]]]
) -> str:
    lines = ["jetstream: enabled"] if user.unrestricted else [_limits(user)]
    lines.append(_users(public_keys, "" if user.unrestricted else _permissions(user)))
    if user.account in exports:
        lines.append(_listed("exports", map(_export, *zip(*exports[user.account].items(), strict=True))))
    if imported := list(imports(user)):
        lines.append(_listed("imports", map(_import, imported)))
    return "\n".join([f"  {user.account} {{", *(f"    {line}" for line in lines), "  }"])


def _users(public_keys: tuple[str, ...], permissions: str = "") -> str:
    return f"users = [ {', '.join(f'{{ nkey: {key}{permissions} }}' for key in public_keys)} ]"


def _export(crossing: Crossing, importers: list[str]) -> str:
    answers = ", response_type: stream" if crossing.subject.startswith(MANY_ANSWERS) else ""
    return f'{{ {crossing.kind}: "{crossing.subject}"{answers}, accounts: [ {", ".join(importers)} ] }}'


def _import(crossing: Crossing) -> str:
    name = f', to: "{crossing.imported_as}"' if crossing.imported_as else ""
    return f'{{ {crossing.kind}: {{ account: {crossing.exporter}, subject: "{crossing.subject}" }}{name} }}'


def _listed(name: str, rows: Iterable[str]) -> str:
    return "\n".join([f"{name} = [", *(f"      {row}" for row in rows), "    ]"])


def _limits(user: User) -> str:
    limits = user.limits
    return (
        f"limits {{ max_connections: {limits.connections}, max_subscriptions: {limits.subscriptions}, "
        f"max_payload: {limits.payload} }}"
    )


def _permissions(user: User) -> str:
    rights = f"publish {_rights(user.publish)}, subscribe {_rights(user.subscribe)}"
    if user.replies_within is not None:
        rights += f', allow_responses: {{ max: 1, expires: "{user.replies_within}s" }}'
    return f", permissions {{ {rights} }}"


def _rights(allowed: tuple[str, ...]) -> str:
    if not allowed:
        return '{ deny: [ ">" ] }'
    return "{ allow: [ " + ", ".join(f'"{subject}"' for subject in allowed) + " ] }"
