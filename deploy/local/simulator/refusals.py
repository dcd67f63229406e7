"""The exchange's refusals: code, HTTP status and text."""

import re
from typing import Any

# From the exchange's error table. Where reports of what it really sends differ from that table, they win:
# 50119 comes with 401 (ccxt issue 23779) and 50011 with 429 and its short text (bbgo issue 1534).
REFUSALS: dict[str, tuple[int, str]] = {
    "404": (404, "Not Found"),
    "50011": (429, "Too Many Requests"),
    "50025": (200, "Parameter {0} count exceeds the limit {1}."),
    "50062": (200, "This feature is currently unavailable."),
    "50101": (401, "APIKey does not match current environment."),
    "50102": (401, "Timestamp request expired."),
    "50103": (401, 'Request header "OK-ACCESS-KEY" cannot be empty.'),
    "50104": (401, 'Request header "OK-ACCESS-PASSPHRASE" cannot be empty.'),
    "50105": (401, 'Request header "OK-ACCESS-PASSPHRASE" incorrect.'),
    "50106": (401, 'Request header "OK-ACCESS-SIGN" cannot be empty.'),
    "50107": (401, 'Request header "OK-ACCESS-TIMESTAMP" cannot be empty.'),
    "50110": (401, "Your IP {0} is not included in your API key's IP whitelist."),
    "50111": (401, "Invalid OK-ACCESS-KEY."),
    "50112": (401, "Invalid OK-ACCESS-TIMESTAMP."),
    "50113": (401, "Invalid signature."),
    "50115": (405, "Invalid request method."),
    "50119": (401, "API key doesn't exist"),
    "50120": (200, "This API key doesn't have permission to use this function"),
    "51000": (400, "Parameter {0} error"),
}
# Refusals of the gate in front of the API have these two keys only; the API's own also have `data`.
AT_THE_GATE = re.compile(r"501\d\d|50011")


class Refused(Exception):
    """A request that the exchange refuses; `parameters` fill the text."""

    def __init__(self, code: str, *parameters: str) -> None:
        self.code = code
        self.status, text = REFUSALS[code]
        self.text = text.format(*parameters)
        super().__init__(f"{code} {self.text}")

    @property
    def body(self) -> dict[str, Any]:
        """The JSON body."""
        if AT_THE_GATE.fullmatch(self.code):
            return {"msg": self.text, "code": self.code}
        if self.code == "404":
            return {"code": self.code, "data": {}, "detailMsg": "", "msg": self.text}
        return {"code": self.code, "data": [], "msg": self.text}
