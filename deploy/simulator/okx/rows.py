"""The documented rows of the account endpoints, with the values that unused fields have there.

Source: the exchange's documentation of /api/v5/account/balance, /api/v5/account/config and
/api/v5/asset/balances. An empty string means that a field does not apply to the account's mode, not zero.
"""

from typing import Any

Row = dict[str, Any]

# The units of a valuation; the exchange does write JP for the yen.
VALUATION_UNITS = "BTC USDT USD CNY JP KRW RUB EUR VND IDR INR PHP THB TRY AUD SGD ARS SAR AED IQD"


def _row(*, empty: str, zero: str = "", **others: Any) -> Row:
    return dict.fromkeys(empty.split(), "") | dict.fromkeys(zero.split(), "0") | others


FUNDING_ROW = _row(empty="ccy", zero="bal availBal frozenBal")

# One element of `details`, in spot mode.
TRADING_ROW = _row(
    empty="""ccy eqUsd uTime availEq isoEq isoUpl upl disEq liab crossLiab isoLiab uplLiab interest maxLoan
        twap frpType borrowFroz mgnRatio imr mmr notionalLever spotInUseAmt clSpotInUseAmt maxSpotInUse
        rewardBal spotBal openAvgPx accAvgPx spotUpl spotUplRatio totalPnl totalPnlRatio""",
    zero="""eq cashBal availBal frozenBal ordFrozen fixedBal stgyEq spotIsoBal smtSyncEq spotCopyTradingEq
        colRes colBorrAutoConversion autoLendMtAmt""",
    autoLendStatus="off",
    collateralEnabled=False,
    collateralRestrict=False,
)

# The account around `details`, in spot mode; amounts in USD.
ACCOUNT_BALANCE = _row(
    empty="uTime totalEq isoEq adjEq availEq ordFroz imr mmr borrowFroz mgnRatio notionalUsd upl",
    zero="""notionalUsdForBorrow notionalUsdForSwap notionalUsdForFutures notionalUsdForOption delta
        deltaLever deltaNeutralStatus""",
)

ACCOUNT_CONFIG = _row(
    empty="uid mainUid acctLv label ip perm levelTmp spotOffsetType",
    zero="feeType roleType spotRoleType stgyType type",
    acctStpMode="cancel_maker",
    autoLoan=False,
    ctIsoMode="automatic",
    enableSpotBorrow=False,
    greeksType="PA",
    kycLv="3",
    level="Lv1",
    liquidationGear="-1",
    mgnIsoMode="automatic",
    opAuth="1",
    posMode="net_mode",
    settleCcy="USDC",
    settleCcyList=["USD", "USDC", "USDG"],
    spotBorrowAutoRepay=False,
    spotTraderInsts=[],
    traderInsts=[],
)
