"""The exchange's refusals: code, HTTP status and texts."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from deploy.simulator.types import Answer

# Every code that a read-only client can receive, with its texts by HTTP status; the first is the usual one.
# Source: errors.md of binance-spot-api-docs. It gives no HTTP status for most codes: the statuses of -2014,
# -2015, -1021 and -1022 are seen in practice, and the statuses of -1000, -1001, -1006, -1007, -1008, -1016,
# -1099, -2008, -2017 and -3000 are assumed. The page of 403 and 404 and the text of 451 are not documented.
REFUSALS = msgspec.json.decode(
    Path(__file__).with_name("refusals.json").read_bytes(), type=dict[str, dict[int, list[str]]]
)
# A firewall or web server in front of the API answers with a page.
PAGES = ("403", "404")


class Refused(Exception):
    """A request that the exchange refuses; `parameters` fill the text, `status` overrides the usual one.

    `form` chooses among the texts of a code. `headers` stand on the response.
    """

    def __init__(
        self,
        code: str,
        *parameters: str,
        status: int | None = None,
        form: int = 0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.code = code
        texts = REFUSALS[code]
        self.status = next(iter(texts)) if status is None else status
        self.text = texts[self.status][form].format(*parameters)
        self.headers = dict(headers or {})
        super().__init__(f"{code} {self.text}")

    @property
    def answer(self) -> Answer:
        """Return the response."""
        if self.code in PAGES:
            return Answer(self.status, self.text.encode(), self.headers | {"Content-Type": "text/html"})
        return Answer(self.status, {"code": int(self.code), "msg": self.text}, self.headers)
