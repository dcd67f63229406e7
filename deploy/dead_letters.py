"""Dead letters from a terminal: `python -m deploy.dead_letters --url URL --token-file FILE list`.

`replay` publishes one again, or with --all every one that `list` would show now, and `drop` deletes them. It
calls the operators' API on the operations port of a gateway, which audits each act. The URL is
http://127.0.0.1:3010 with `kubectl port-forward deployment/gateway 3010`.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

SECONDS = 60
PATH = "/api/v1/admin/dead-letters"
PAGE = 50
KEPT = "that are no request or outcome of a sync, or that their stream refused"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m deploy.dead_letters", description=__doc__)
    parser.add_argument("--url", required=True, help="of the operations port of a gateway")
    parser.add_argument("--token-file", type=Path, required=True, help="file with an operator's token")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("list", help="show number, time, subject, size, id and reason of each")
    for name, words in (("replay", "publish again what has a way back"), ("drop", "delete")):
        meant = actions.add_parser(name, help=words).add_mutually_exclusive_group(required=True)
        meant.add_argument("sequence", type=int, nargs="?", help="the number of one, as `list` shows it")
        everything = "all that are there now; needs the role operator"
        meant.add_argument("--all", action="store_true", help=everything)
    return parser.parse_args()


def letters(client: httpx.Client) -> Iterator[dict[str, Any]]:
    """Yield the dead letters, the oldest first; raises httpx.HTTPError."""
    cursor: int | None = 1
    while cursor:
        answer = client.get(PATH, params={"cursor": cursor, "limit": PAGE}).raise_for_status().json()
        yield from answer["dead_letters"]
        cursor = answer["next_cursor"]


def settle_all(client: httpx.Client, action: str) -> tuple[int, int]:
    """Replay or drop all that are there now; returns how many were settled, and how many kept."""
    before = max((each["sequence"] for each in letters(client)), default=0) + 1
    settled = kept = 0
    cursor: int | None = 1
    while cursor and cursor < before:
        meant = {"before": before, "cursor": cursor}
        if action == "replay":
            answer = client.post(f"{PATH}/replay", json=meant)
        else:
            answer = client.delete(PATH, params=meant)
        said = answer.raise_for_status().json()
        settled, kept, cursor = settled + len(said["settled"]), kept + len(said["kept"]), said["next_cursor"]
    return settled, kept


def run(client: httpx.Client, options: argparse.Namespace) -> None:
    """Run an action and print the result; raises httpx.HTTPError."""
    if options.action == "list":
        for each in letters(client):
            told = ("sequence", "stored_at", "subject", "size", "message_id", "reason")
            print("  ".join(str(each[name]) for name in told))
    elif options.all:
        settled, kept = settle_all(client, options.action)
        print(f"dropped {settled}" if options.action == "drop" else f"replayed {settled}; kept {kept} {KEPT}")
    else:
        path = f"{PATH}/{options.sequence}"
        answer = client.post(f"{path}/replay") if options.action == "replay" else client.delete(path)
        answer.raise_for_status()
        print(f"{'dropped' if options.action == 'drop' else 'replayed'} dead letter {options.sequence}")


def main() -> int:
    """Run the command; a refusal is printed in the words of the API."""
    options = arguments()
    try:
        token = options.token_file.read_text().strip()
        with httpx.Client(
            base_url=options.url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=SECONDS,
            trust_env=False,
        ) as client:
            run(client, options)
    except httpx.HTTPStatusError as error:
        said = error.response.json() if "json" in error.response.headers.get("content-type", "") else {}
        sys.stderr.write(
            f"not done: {said.get('code', error.response.status_code)}: {said.get('detail', '')}\n"
        )
        return 1
    except (httpx.HTTPError, OSError) as error:
        sys.stderr.write(f"not done: {type(error).__name__}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
