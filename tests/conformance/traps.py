"""The traps of an exchange that would make a wrong number look right, each with the tests of its cure.

The traps of OKX are those of the facts about it: what surprises people, what must not be added up twice, and
what is in no list. A test is named by its node id.
"""

OF_OKX = "tests/sync_worker/exchanges/okx"
ROWS, PAYLOADS = f"{OF_OKX}/test_rows.py", f"{OF_OKX}/test_payloads.py"
FAULTS, EARN = f"{OF_OKX}/test_faults.py", f"{OF_OKX}/test_earn.py"
LOANS, TOTALS = f"{OF_OKX}/test_loans.py", f"{OF_OKX}/test_totals.py"
POSITIONS = f"{OF_OKX}/test_positions.py"
TICKERS, SETTINGS = f"{OF_OKX}/test_tickers.py", "tests/sync_worker/test_settings.py"
READS, VERDICTS = "tests/sync_worker/test_earn_reads.py", "tests/sync_worker/test_verdicts.py"
TROUBLE, SYNC = "tests/sync_worker/test_trouble.py", "tests/sync_worker/test_sync.py"
WHOLE, CLOCK = "tests/conformance/test_exchange_faults.py", "tests/sync_worker/exchanges/test_clock.py"
GOOD, WORDS = "tests/conformance/test_last_good_set.py", "tests/conformance/test_words.py"
VALUES, PRICES = "tests/gateway/portfolio/test_values.py", "tests/gateway/portfolio/test_prices.py"
BESIDE, RECORD = "tests/gateway/syncs/test_beside_balances.py", "tests/gateway/syncs/test_record.py"
UNCOVERED, BOUNDS = "tests/gateway/portfolio/test_uncovered.py", "tests/gateway/syncs/test_bounds.py"
WORTH, RIGHTS = "tests/gateway/accounts/test_worth.py", "tests/system/test_rights.py"
AMOUNTS, OWN = "tests/contracts/test_values.py", "tests/conformance/test_traps.py"

# By their numbers in the facts.
SURPRISES: dict[str, tuple[str, ...]] = {
    "1 the documented host changed: it is a setting": (f"{SETTINGS}::test_everything_can_be_said",),
    "2 a valid key at the wrong host is unknown": (
        f"{FAULTS}::test_an_unknown_key_may_be_of_another_region",
        "tests/deploy/simulator/okx/test_checks.py::test_a_key_is_unknown_in_another_region",
    ),
    "3 the code decides, never the HTTP status": (
        f"{WHOLE}::test_a_fault_has_its_verdict",
        f"{FAULTS}::test_without_an_answer_of_the_api_the_status_decides",
    ),
    "4 a refusal has no data, and perhaps a number as its code": (
        f"{PAYLOADS}::test_a_code_is_text_or_number",
        "tests/deploy/simulator/okx/test_checks.py::test_a_wrong_header_has_its_own_code_and_a_body_without_data",
    ),
    "5 an empty text is absent, not zero": (
        f"{ROWS}::test_a_row_says_what_is_there_and_nothing_else",
        f"{ROWS}::test_a_field_that_is_not_needed_may_be_absent",
        f"{POSITIONS}::test_an_empty_text_is_unknown_and_not_zero",
    ),
    "6 a currency that vanished is zero, if a total says so": (
        f"{RECORD}::test_an_asset_that_the_total_confirms_as_gone_is_gone",
        f"{RECORD}::test_a_loss_that_nothing_confirms_keeps_the_old_set",
        "tests/deploy/simulator/okx/test_payloads.py::test_zero_rows_are_left_out",
    ),
    "7 eq contains unrealised profit and bots, and may be negative": (
        f"{PAYLOADS}::test_the_documented_trading_account",
        f"{POSITIONS}::test_the_equity_of_bots_is_shown_as_a_part_of_the_total",
        f"{POSITIONS}::test_positions_are_added_to_no_balance",
    ),
    "8 unknown fields do not matter": (f"{ROWS}::test_a_row_says_what_is_there_and_nothing_else",),
    "9 channels have hosts of their own": (f"{OWN}::test_every_read_is_polled_over_https",),
    "10 funding and earn have no channel": (
        f"{OWN}::test_every_read_is_polled_over_https",
        "tests/sync_worker/test_service.py::test_every_covered_wallet_is_read",
    ),
    "11 a wrong signature and a wrong key are never retried": (
        f"{OWN}::test_a_fault_of_the_key_is_never_retried",
        f"{SYNC}::test_what_only_the_user_can_mend_is_told_at_once",
    ),
}
# Of the section on what to add up, in its order.
SUMS: dict[str, tuple[str, ...]] = {
    "savings, orders and dual investments are added": (
        f"{EARN}::test_savings_orders_and_dual_investments_are_added_up",
        f"{EARN}::test_orders_that_have_ended_are_not_counted",
    ),
    "staked ETH and SOL and stable rewards overlap": (
        f"{EARN}::test_staked_eth_and_sol_count_only_as_far_as_they_are_in_redemption",
        f"{EARN}::test_stable_rewards_count_only_as_far_as_they_are_in_redemption",
        f"{EARN}::test_a_staked_asset_in_savings_is_not_counted_again_as_in_redemption",
    ),
    "the valuation is a check with a tolerance": (
        f"{VERDICTS}::test_a_list_is_held_widely_against_the_valuation",
        f"{GOOD}::test_a_list_that_only_the_valuation_contradicts_is_shown_as_disagreeing",
    ),
    "the collateral of a loan is in no list": (
        f"{LOANS}::test_the_documented_loan_is_its_collateral_less_its_debt",
        f"{READS}::test_loans_are_found_beside_the_wallets",
        "tests/system/test_uncovered.py::test_a_loan_is_named_beside_every_total_and_in_none",
    ),
    "only the valuation knows Simple Earn Fixed": (
        f"{BESIDE}::test_worth_that_only_the_exchange_s_total_has_is_a_named_difference",
        f"{UNCOVERED}::test_worth_that_only_the_valuation_knows_is_named",
    ),
}
# Of any exchange.
GENERAL: dict[str, tuple[str, ...]] = {
    "money in an unread wallet": (
        f"{VALUES}::test_money_in_an_unread_wallet_is_named",
        f"{WORTH}::test_a_wallet_that_was_never_read_is_named",
        f"{UNCOVERED}::test_a_wallet_of_the_catalogue_that_no_sync_reads_is_named",
    ),
    "double count": (
        f"{EARN}::test_an_order_that_moves_on_between_two_reads_counts_once",
        f"{VALUES}::test_a_debt_lowers_a_total_once",
        f"{ROWS}::test_a_currency_that_stands_twice_is_not_read",
        f"{ROWS}::test_accrued_interest_stands_apart_from_the_debt",
        f"{OWN}::test_what_is_uncovered_changes_no_total",
    ),
    "the meaning of total": (
        f"{PAYLOADS}::test_the_documented_trading_account",
        f"{VALUES}::test_a_total_is_the_exact_sum_of_its_parts",
        f"{WORTH}::test_money_that_moves_between_accounts_changes_no_total",
    ),
    "a failed sub-call as zero": (
        f"{EARN}::test_a_part_that_failed_for_a_moment_is_no_zero",
        f"{LOANS}::test_loans_that_could_not_be_read_are_unknown",
        f"{BESIDE}::test_an_asset_of_an_unread_part_stays_as_stale",
        f"{WHOLE}::test_no_balance_became_zero_smaller_or_complete_by_a_fault",
    ),
    "success with empty content": (
        f"{VERDICTS}::test_a_list_without_amounts_contradicts_every_total",
        f"{GOOD}::test_assets_that_vanish_without_a_confirmation_stay",
    ),
    "success with changed content": (
        f"{PAYLOADS}::test_a_trading_account_of_another_shape_fails",
        f"{PAYLOADS}::test_a_funding_list_of_another_shape_fails",
        f"{EARN}::test_a_part_in_another_shape_is_a_part_that_was_not_read",
        f"{LOANS}::test_a_changed_response_is_no_empty_one",
    ),
    "wrong region": (
        f"{FAULTS}::test_an_unknown_key_may_be_of_another_region",
        "tests/deploy/simulator/okx/test_checks.py::test_a_key_is_unknown_in_another_region",
    ),
    "ambiguous auth errors": (
        f"{FAULTS}::test_every_code_says_who_must_act",
        f"{WORDS}::test_whatever_okx_answers_the_words_are_true_of_the_key",
    ),
    "over-powered key": (
        "tests/gateway/accounts/test_connect.py::test_a_key_that_is_refused_is_doomed",
        f"{RIGHTS}::test_a_key_that_learned_to_trade_is_paused_and_its_secret_destroyed_once_confirmed",
        f"{RIGHTS}::test_a_right_that_is_not_known_pauses_and_is_named",
    ),
    "rate limits": (
        f"{SYNC}::test_the_wait_that_the_exchange_asks_for_is_kept",
        f"{TOTALS}::test_a_refused_total_is_asked_for_once_more",
        "tests/deploy/simulator/okx/test_limits.py::test_every_limit_is_the_documented_one",
    ),
    "clock skew": (
        f"{TROUBLE}::test_a_refused_time_is_measured_once_more",
        f"{TROUBLE}::test_an_exchange_in_another_day_is_not_believed",
        f"{WHOLE}::test_a_clock_that_was_set_is_learnt_at_once",
        f"{CLOCK}::test_a_time_that_was_not_accepted_is_measured_anew_once",
    ),
    "pagination": (
        f"{EARN}::test_a_response_that_can_hold_no_more_orders_is_not_the_whole_list",
        f"{READS}::test_orders_behind_a_full_page_are_read_by_state",
    ),
    "asset identity": (
        f"{ROWS}::test_a_currency_that_stands_twice_is_not_read",
        f"{TICKERS}::test_a_pair_that_stands_twice_has_no_price",
        f"{BOUNDS}::test_a_name_that_the_exchange_can_not_use_is_malformed",
    ),
    "lying prices: price_invalid": (
        f"{PRICES}::test_a_lying_price_replaces_none",
        f"{PRICES}::test_a_lying_price_never_becomes_the_first",
    ),
    "lying prices: price_implausible until confirmed": (
        f"{PRICES}::test_a_lying_price_replaces_none",
        f"{PRICES}::test_a_jump_is_believed_after_ten_minutes",
    ),
    "lying prices: price_thin": (
        f"{PRICES}::test_a_lying_price_replaces_none",
        f"{PRICES}::test_a_pair_that_lies_does_not_hide_a_good_one",
    ),
    "lying prices: last_known": (f"{PRICES}::test_a_price_grows_old",),
    "lying prices: a delisted pair": (
        f"{PRICES}::test_a_delisted_pair_is_the_last_known_one_and_then_none",
        "tests/gateway/portfolio/test_quoted.py::test_it_beats_neither_a_market_nor_a_price_by_hand",
    ),
    "lying prices: USDT at 0.90": (f"{PRICES}::test_a_pegged_coin_is_worth_its_market_rate",),
    "lying prices: the exchange's own valuation": (
        f"{OF_OKX}/test_quoted.py::test_a_price_is_the_worth_of_one_unit",
        "tests/gateway/portfolio/test_quoted.py::test_it_grows_old_as_every_price_does",
    ),
    "float loss": (
        f"{PAYLOADS}::test_no_digit_is_lost_on_the_way_to_the_outcome",
        f"{AMOUNTS}::test_no_digit_of_an_amount_is_lost_from_text_to_text",
        f"{VALUES}::test_no_digit_is_lost_to_a_float",
        f"{RECORD}::test_every_digit_survives_the_database",
    ),
    "stale data under a fresh timestamp": (
        f"{TROUBLE}::test_data_from_a_cache_say_from_when",
        f"{OF_OKX}/test_lists.py::test_data_of_another_day_say_so",
        f"{VALUES}::test_stale_data_under_a_fresh_timestamp_are_told",
        f"{UNCOVERED}::test_what_was_found_before_a_failed_look_stays_with_its_time",
    ),
}
TRAPS = {
    **{f"OKX surprise {name}": tests for name, tests in SURPRISES.items()},
    **{f"OKX sum: {name}": tests for name, tests in SUMS.items()},
    **GENERAL,
}
