"""The rows of the endpoints, with the values that unused fields have.

Source: the exchange's documentation and example payloads, and the models of its own clients where there is no
example (on-chain yields, dual investment, soft staking, COIN-M futures, position risk, portfolio margin
balances and options).
"""

from typing import Any

Row = dict[str, Any]


def _row(*, zero: str = "", **others: Any) -> Row:
    return dict.fromkeys(zero.split(), "0") | others


SPOT_ROW = _row(asset="", zero="free locked freeze withdrawing ipoable")
FUNDING_ROW = _row(asset="", zero="free locked freeze withdrawing")
# `netAsset` follows from the others.
MARGIN_ROW = _row(asset="", zero="borrowed free interest locked")
ISOLATED_ROW = _row(symbol="", baseAsset={}, quoteAsset={})

FLEXIBLE_ROW = _row(
    asset="",
    zero="""totalAmount yesterdayAirdropPercentageRate collateralAmount yesterdayRealTimeRewards
        cumulativeBonusRewards cumulativeRealTimeRewards cumulativeTotalRewards""",
    tierAnnualPercentageRate={},
    latestAnnualPercentageRate="0.02599895",
    airDropAsset="",
    canRedeem=True,
    productId="USDT001",
    autoSubscribe=True,
)

# The fields that locked and on-chain positions share.
_TERM = _row(
    asset="",
    zero="amount rewardAmt nextPay redeemingAmt accrualDays",
    positionId=1,
    purchaseTime=1646182276000,
    duration="60",
    rewardAsset="",
    nextPayDate=1646697600000,
    payPeriod="1",
    rewardsEndDate=1651449600000,
    deliverDate=1651536000000,
    canRedeemEarly=True,
    status="HOLDING",
)

LOCKED_ROW = _TERM | _row(
    zero="extraRewardAPR estExtraRewardAmt boostApr totalBoostRewardAmt redeemAmountEarly",
    parentPositionId=0,
    projectId="Axs*90",
    APY="0.2032",
    extraRewardAsset="",
    boostRewardAsset="",
    redeemPeriod="1",
    redeemTo="FLEXIBLE",
    partialAmtDeliverDate=1651536000000,
    canFastRedemption=True,
    autoSubscribe=True,
    type="AUTO",
    canReStake=True,
)

ONCHAIN_ROW = _TERM | _row(
    projectId="SOL*60",
    APY="0.05",
    rewardsPayDate=1646697600000,
    nextSubscriptionDate=1651536000000,
    redeemTo="SPOT",
    autoSubscribe=False,
    type="NORMAL",
)

# `subscriptionAmount` is in units of `investCoin`.
DUAL_ROW = _row(
    id="1",
    investCoin="",
    exercisedCoin="USDT",
    subscriptionAmount="0",
    strikePrice="70000",
    duration=7,
    settleDate=1806134400000,
    purchaseStatus="PURCHASE_SUCCESS",
    apr="0.18",
    orderId=1,
    purchaseEndTime=1795651200000,
    optionType="CALL",
    autoCompoundPlan="NONE",
    subscriptionTime=1795651200000,
)

SOFT_ROW = _row(asset="", zero="minAmount maxCap apr stakedAmount totalProfit")

# `marginBalance` is the sum of wallet balance and unrealized profit.
FUTURES_ROW = _row(
    asset="",
    zero="""walletBalance unrealizedProfit maintMargin initialMargin positionInitialMargin
        openOrderInitialMargin""",
)

USDM_POSITION = _row(
    symbol="",
    zero="""positionAmt entryPrice breakEvenPrice markPrice unRealizedProfit liquidationPrice isolatedMargin
        notional isolatedWallet initialMargin maintMargin positionInitialMargin openOrderInitialMargin adl
        bidNotional askNotional""",
    positionSide="BOTH",
    marginAsset="USDT",
    updateTime=0,
)

COINM_POSITION = _row(
    symbol="",
    zero="""positionAmt entryPrice breakEvenPrice markPrice unRealizedProfit liquidationPrice maxQty
        isolatedMargin notionalValue isolatedWallet""",
    leverage="10",
    marginType="cross",
    isAutoAddMargin="false",
    positionSide="BOTH",
    updateTime=0,
)

PORTFOLIO_ROW = _row(
    asset="",
    zero="""totalWalletBalance crossMarginAsset crossMarginBorrowed crossMarginFree crossMarginInterest
        crossMarginLocked umWalletBalance umUnrealizedPNL cmWalletBalance cmUnrealizedPNL negativeBalance""",
    updateTime=1617939110373,
)

OPTIONS_ROW = _row(
    asset="",
    zero="marginBalance equity available initialMargin maintMargin unrealizedPNL adjustedEquity",
)
