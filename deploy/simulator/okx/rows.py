"""The documented rows of the account endpoints, with the values that unused fields have there.

Source: the exchange's documentation of /api/v5/account/balance, /api/v5/account/config and
/api/v5/asset/balances, of the earn products and of /api/v5/account/positions. An empty string means that a
field does not apply to the account's mode, not zero.
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

SAVINGS_ROW = _row(empty="ccy redemptAmt", zero="amt earnings loanAmt pendingAmt", rate="0.01")

STAKING_ORDER = _row(
    empty="ordId ccy tag estSettlementTime cancelRedemptionDeadline purchasedTime",
    state="1",
    productId="101",
    protocol="Polkadot",
    protocolType="defi",
    term="0",
    apy="0.07",
    investData=[],
    earningData=[],
    fastRedemptionData=[],
)

DUAL_ORDER = _row(
    empty="""ordId quoteId notionalSz notionalCcy yieldSz yieldCcy settleSz settleCcy settlePx settleTime
        redeemStartTime redeemEndTime""",
    state="live",
    productId="BTC-USDT-270326-77000-C",
    baseCcy="BTC",
    quoteCcy="USDT",
    uly="BTC-USD",
    strike="77000",
    absYield="0.008",
    annualizedYield="0.18",
    expTime="1806134400000",
    cTime="1795651200000",
    uTime="1795651200000",
)

# One flexible loan. Worths are in USD.
LOAN = _row(
    empty="ordId collateralNotionalUsd curLTV loanNotionalUsd",
    collateralData=[],
    loanData=[],
    liqLTV="0.8374",
    marginCallLTV="0.7374",
    riskWarningData={"instId": "", "liqPx": ""},
)

# One position; most amounts are empty for one kind of instrument or another.
POSITION = _row(
    empty="""adl availPos avgPx baseBal baseBorrowed baseInterest bePx bizRefId bizRefType cTime ccy
        clSpotInUseAmt deltaBS deltaPA fee fundingFee gammaBS gammaPA hedgedPos idxPx imr instId instType
        interest last lever liab liabCcy liqPenalty liqPx margin markPx maxSpotInUseAmt mgnMode mgnRatio mmr
        nonSettleAvgPx notionalUsd optVal pendingCloseOrdLiabVal pnl pos posCcy posId quoteBal quoteBorrowed
        quoteInterest realizedPnl settledPnl spotInUseAmt spotInUseCcy thetaBS thetaPA tradeId uTime upl
        uplLastPx uplRatio uplRatioLastPx usdPx vegaBS vegaPA""",
    posSide="net",
    closeOrderAlgo=[],
)

# One row of the list of sub-accounts; `ts` is its creation.
SUB_ACCOUNT = _row(
    empty="subAcct uid label mobile ts firstLvSubAcct",
    type="1",
    enable=True,
    gAuth=False,
    frozenFunc=[],
    canTransOut=True,
    subAcctLv="1",
    ifDma=False,
)
