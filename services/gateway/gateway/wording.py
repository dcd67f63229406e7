"""User texts for faults of other services: our own for each code, and only known sentences of theirs."""

import msgspec
import structlog

from contracts.credentials import Refused
from contracts.exchanges import EXCHANGES
from contracts.exchanges.types import Exchange
from contracts.faults import Code, fault_of
from contracts.reasons import difference_words, reason_of, rows_words, sentences_in
from contracts.syncs import READ, UnreadableRow, WalletRead

MAX_RETRY_AFTER = 3600.0
MAX_LOGGED = 200

log = structlog.get_logger()


def words_of(read: WalletRead, code: str, exchange: Exchange) -> str:
    """Return our text for the fault of a wallet, with only the known sentences of the worker's."""
    if read.verdict in READ:
        part = _words_of_part(read) if code == Code.UNREAD_PARTS else ""
        return " ".join(filter(None, (part, _words_of_rows(read)))) or fault_of(code).words
    if code == Code.EXCHANGE_ERROR:
        number, endpoint = read.exchange_code or "unreadable", read.endpoint or "not named"
        return f"{fault_of(code).words} (code {number}, read {endpoint})"
    said = (fault_of(code).words, sentences_in(read.error or ""), _numbered(exchange, read.exchange_code))
    return " ".join(part for part in said if part)


def known_rows(read: WalletRead) -> tuple[UnreadableRow, ...]:
    """Return the unreadable rows, each with a reason of the table."""
    return tuple(
        row
        if (reason := reason_of(row.reason)) == row.reason
        else msgspec.structs.replace(row, reason=reason)
        for row in read.unreadable
    )


def in_own_words(refused: Refused, exchange: str | None = None) -> Refused:
    """Return a refusal with only the known sentences of its detail, and a bounded `retry_after`."""
    sentences = sentences_in(refused.detail)
    numbered = _numbered(EXCHANGES.get(exchange or ""), refused.exchange_code)
    if refused.code == Code.EXCHANGE_ERROR:
        numbered = ""  # the problem has fields for code and endpoint
    if sentences != refused.detail:
        log.info("detail_left_out", code=refused.code, detail=refused.detail[:MAX_LOGGED])
    wait = refused.retry_after
    return msgspec.structs.replace(
        refused,
        detail=" ".join(part for part in (sentences, numbered) if part),
        retry_after=None if wait is None else min(max(wait, 0.0), MAX_RETRY_AFTER),
    )


def _words_of_part(read: WalletRead) -> str:
    """Return a text that names the read of the part that a list lacks."""
    words = fault_of(Code.UNREAD_PARTS).words
    return f"{words} (read {read.endpoint})" if read.endpoint else words


def _words_of_rows(read: WalletRead) -> str:
    """Return a text of the rows and the amount that a list lacks."""
    words = []
    if read.unreadable_count:
        rows = len(read.balances or ()) + read.unreadable_count
        words.append(rows_words([row.reason for row in read.unreadable], read.unreadable_count, rows))
    if read.difference_usd is not None:
        words.append(difference_words(read.difference_usd))
    return " ".join(words)


def _numbered(exchange: Exchange | None, code: str | None) -> str:
    """Return the exchange's error code in brackets; empty without a code."""
    return f"({exchange.name if exchange else 'code'} {code})" if code else ""
