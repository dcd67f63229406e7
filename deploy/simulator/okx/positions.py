"""The response rows of open positions."""

from deploy.simulator.okx.payloads import Question
from deploy.simulator.okx.rows import POSITION, Row


def account_positions(question: Question) -> list[Row]:
    """Return the open positions, by kind or name of the instrument."""
    wanted = {
        key: set(filter(None, question.query.get(key, "").split(","))) for key in ("instType", "instId")
    }
    rows = [POSITION | row for row in question.account.positions]
    return [row for row in rows if all(not few or row[key] in few for key, few in wanted.items())]
