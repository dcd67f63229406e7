"""The details that services add to a fault: a closed table, because users see texts of messages.

A compromised service can send any text. The gateway shows only the sentences listed here, and takes numbers,
codes and names of reads from separate fields.
"""

import re
from collections.abc import Sequence
from decimal import Decimal

from contracts.exchanges import EXCHANGES
from contracts.exchanges.types import Exchange

# Reasons why a row of a list is unreadable. `{field}` is a field of the exchange's rows.
TWICE, NO_OBJECT, NO_JSON = "a field stands twice", "it is no object", "a value is not valid JSON"
STANDS_TWICE = "the currency stands twice"
NO_NAME, BAD_NAME = "the currency has no name", "the name of the currency can not be read"
MORE_AVAILABLE = "more is available than there is"
UNREADABLE_ROW = "the row can not be read"
PARTS_DIFFER = "{field} is not the sum of its parts"
LISTS_DIFFER = "two lists of the exchange show different amounts"
IN_REDEMPTION = "the amount that is being redeemed can not be told"
MISSING, NEGATIVE, NO_NUMBER = "{field} is missing", "{field} is negative", "{field} can not be read: {why}"
UNKNOWN = "{field} has a value that we do not know"
NUMBERS = ("not a decimal amount", "the amount is not finite", "the amount has too many digits")
FIELDS = dict.fromkeys(field for exchange in EXCHANGES.values() for field in exchange.row_fields)
REASONS = frozenset(
    {
        *(TWICE, NO_OBJECT, NO_JSON, STANDS_TWICE, NO_NAME, BAD_NAME, MORE_AVAILABLE, UNREADABLE_ROW),
        *(IN_REDEMPTION, LISTS_DIFFER),
        *(
            form.format(field=field)
            for form in (MISSING, NEGATIVE, UNKNOWN, PARTS_DIFFER)
            for field in FIELDS
        ),
        *(NO_NUMBER.format(field=field, why=why) for field in FIELDS for why in NUMBERS),
    }
)
# An exchange may refuse a read with one code for three causes; another read of the same key rules two out.
THREE_CAUSES = (
    "The exchange does not say which of three is wrong: the API key, our address, or the rights of the key."
)
OTHERS_WORK = "The API key and our address are right, because the exchange answered another read."
# The text on a list names at most this many reasons.
MAX_REASONS = 3

# Failures at an exchange, on the way to it, or between our services.
SENTENCES = (
    THREE_CAUSES,
    OTHERS_WORK,
    "We can not read a value.",
    "The answer does not say whose key it is.",
    "The answer does not say whose key it is and what it may do.",
    "The API key or the passphrase holds characters that we can not send.",
    "The exchange did not send a whole answer in time.",
    "We could not read all of it in time.",
    "The answer does not have the documented shape.",
    "The answer is a redirect or compressed, and we asked for neither.",
    "The answer is not valid HTTP.",
    "The answer may belong to another request.",
    "We could not verify the key in time.",
    "The list is empty.",
    "The list has a document type, which it must not have.",
    "The list is worth less.",
    "The list is worth more.",
    "By the clock of the bus the request was sent in the future.",
    "Only the clock of the bus says that the request is over.",
    "The time is not a valid time.",
    "We can not read what the answer says of the key.",
    *(f"{exchange.name} has no such region." for exchange in EXCHANGES.values()),
    "We sent no request, to stay below the exchange's limit.",
    "We sent no request: the exchange says that it is in maintenance.",
    "We sent no request: the exchange refused the last requests of several accounts.",
    "The proxy of EXCHANGE_PROXY_URL can not be reached.",
    "The proxy of EXCHANGE_PROXY_URL does not accept our user and password.",
)
_MAX_SEARCHED = 1000
_REASON = f"(?:{'|'.join(re.escape(reason) for reason in sorted(REASONS, key=len, reverse=True))})"
_FORMS = (
    r"The answer is an HTTP [1-9][0-9]{2} that does not come from the API\.",
    r"The answer is longer than [0-9]{1,9} bytes\.",
    r"The connection failed: [A-Z][A-Za-z]{0,30}(?:Error|Timeout)\.",
    r"The proxy of EXCHANGE_PROXY_URL refuses the connection \(HTTP [1-9][0-9]{2}\)\.",
    rf"[0-9]{{1,6}} of [0-9]{{1,6}} rows could not be read: {_REASON}(?:; (?:{_REASON}|and more)){{0,3}}\.",
)


def reason_of(text: str) -> str:
    """Return a reason of the table; for any other text, perhaps of a later version, a general reason."""
    return text if text in REASONS else UNREADABLE_ROW


def sentences_in(text: str) -> str:
    """Return only the sentences of the table that a text holds, in the text's order, each once."""
    found = dict.fromkeys(match[0] for match in _SAID.finditer(text[:_MAX_SEARCHED]))
    return " ".join(found)


def looked_for_in(exchange: Exchange, region: str) -> str:
    """Return the sentence that names the region in which we looked for a key, and the other regions."""
    others = ", ".join(f"{each.key}: {each.name}" for each in exchange.regions if each.key != region)
    return f"We looked for it in region {region}; others are {others}."


def rows_words(reasons: Sequence[str], unreadable: int, rows: int) -> str:
    """Return the sentence that says how many rows of a list are unreadable, and why."""
    told = list(dict.fromkeys(reasons))
    more = ["and more"] if len(told) > MAX_REASONS else []
    why = "; ".join([*told[:MAX_REASONS], *more]) or UNREADABLE_ROW
    return f"{unreadable} of {rows} rows could not be read: {why}."


def unlisted_words(missing: Decimal) -> str:
    """Return the sentence that says how many USD of the exchange's total are in no list."""
    return f"Its lists lack {missing:.2f} USD of the exchange's total."


def difference_words(difference: Decimal) -> str:
    """Return the sentence that says by how many USD a list differs from the total that came with it."""
    side = "less" if difference > 0 else "more"
    return f"The list is worth {abs(difference):.2f} USD {side} than the total that came with it."


_REGIONS = [
    re.escape(looked_for_in(exchange, region.key))
    for exchange in EXCHANGES.values()
    for region in exchange.regions
]
_SAID = re.compile("|".join([*map(re.escape, SENTENCES), *_REGIONS, *_FORMS]))
