"""The exchange's refusals: code, HTTP status and text."""

import re
from pathlib import Path
from typing import Any

import msgspec

# Every code that a read-only client can receive, with its texts by HTTP status, from the exchange's error
# table; the first status is the usual one. Where reports of real responses differ from that table, they
# prevail: 50119 comes with 401 (ccxt issue 23779) and 50011 with 429 and its short text (bbgo issue 1534).
REFUSALS = msgspec.json.decode(
    Path(__file__).with_name("refusals.json").read_bytes(), type=dict[str, dict[int, str]]
)
# Refusals of the gateway in front of the API have only these two keys; the API's own also have `data`.
AT_THE_GATE = re.compile(r"501\d\d|50011")


class Refused(Exception):
    """A request that the exchange refuses; `parameters` fill the text, `status` overrides the usual one."""

    def __init__(self, code: str, *parameters: str, status: int | None = None) -> None:
        self.code = code
        texts = REFUSALS[code]
        self.status = next(iter(texts)) if status is None else status
        self.text = texts[self.status].format(*parameters)
        super().__init__(f"{code} {self.text}")

    @property
    def body(self) -> dict[str, Any]:
        """Return the JSON body."""
        if AT_THE_GATE.fullmatch(self.code):
            return {"msg": self.text, "code": self.code}
        if self.code == "404":
            return {"code": self.code, "data": {}, "detailMsg": "", "msg": self.text}
        return {"code": self.code, "data": [], "msg": self.text}
