"""The exchange's own totals of the wallets."""

from decimal import Decimal

from deploy.simulator.okx.earn import earn_value
from deploy.simulator.okx.payloads import EXACT, Question, milliseconds, sum_of, text_of, trading_value
from deploy.simulator.okx.refusals import Refused
from deploy.simulator.okx.rows import VALUATION_UNITS, Row

DIGITS = Decimal("1E-18")


def asset_valuation(question: Question) -> list[Row]:
    """Return the value of every wallet in one unit, by default BTC; the total sums the rounded parts."""
    unit = question.query.get("ccy", "BTC")
    if unit not in VALUATION_UNITS.split():
        raise Refused("51000", "ccy")
    values = {
        "trading": trading_value(question),
        "funding": sum_of(question.in_usd(row["bal"], row["ccy"]) for row in question.account.funding),
        "earn": earn_value(question),
        "classic": Decimal(0),
    }
    parts = {
        wallet: EXACT.quantize(EXACT.divide(value, question.prices[unit]), DIGITS)
        for wallet, value in values.items()
    }
    details = {wallet: text_of(part) for wallet, part in parts.items()}
    return [
        {"totalBal": text_of(sum_of(parts.values())), "ts": milliseconds(question.now), "details": details}
    ]
