"""Cross and isolated margin.

The right that these endpoints need is not documented; the right to read is assumed to be enough.
"""

from deploy.simulator.binance.question import added, text_of
from deploy.simulator.binance.rows import MARGIN_ROW, Row


def margin_row(row: Row) -> Row:
    """Complete a row of margin: its net is what is there without the debt."""
    complete = MARGIN_ROW | row
    debt = added(complete, "borrowed", "interest")
    return complete | {"netAsset": text_of(added(complete, "free", "locked") - debt)}
