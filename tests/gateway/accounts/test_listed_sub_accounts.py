"""What a list of sub-accounts changes, as a pure rule: nothing is silently missing."""

from datetime import UTC, datetime
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from contracts.syncs import SubAccount, SubAccountList
from gateway.accounts.listed import (
    MOST_OF_ONE,
    TOO_MANY,
    TOO_MANY_ACCOUNTS,
    UNUSABLE_NAME,
    compare,
)
from gateway.rows.sub_accounts import OWN_KEY, Child

PARENT = uuid4()
UIDS = st.sampled_from([str(number) for number in range(8)])
NAMES = st.sampled_from(["one", "two", "a b", "ü", "x,y.z_-"])
LISTED = st.lists(st.builds(SubAccount, UIDS, NAMES), max_size=12).map(tuple)


def child(uid: str, name: str = "one", *, gone: bool = False) -> Child:
    """Return the account of a sub-account."""
    return Child(uuid4(), PARENT, uid, name, datetime(2026, 1, 1, tzinfo=UTC) if gone else None)


@given(LISTED, st.sets(UIDS), st.sets(UIDS), st.integers(-1, 12), st.sampled_from((0, 1)))
def test_each_listed_sub_account_is_an_account_or_is_named_with_a_reason(
    listed: tuple[SubAccount, ...], known: set[str], other: set[str], room: int, unreadable: int
) -> None:
    """Exactly one of them, and an account is gone only by a whole list that does not name it."""
    children = [child(uid) for uid in sorted(known)]

    plan = compare(SubAccountList(listed, unreadable=unreadable), children, known | other, room)

    told = [*(each.uid for each in plan.new), *(each.uid for each in plan.left_out), *known]
    assert len(told) == len(set(told))
    assert {each.uid for each in listed} <= set(told)
    assert len(plan.new) <= max(room, 0)
    assert not {each.uid for each in plan.new} & other
    missing = {each.account_id for each in children if each.uid not in {one.uid for one in listed}}
    assert set(plan.gone) == (set() if unreadable else missing)


def test_each_reason_has_its_code() -> None:
    """A key of its own comes before a name that can not be asked for, and this before the limits."""
    listed = SubAccountList(
        (SubAccount("1", "a b"), SubAccount("2", "a b"), SubAccount("3", "c"), SubAccount("4", "d"))
    )

    plan = compare(listed, [], {"1"}, 1)

    assert [each.uid for each in plan.new] == ["3"]
    assert [(each.uid, each.reason) for each in plan.left_out] == [
        ("1", OWN_KEY),
        ("2", UNUSABLE_NAME),
        ("4", TOO_MANY_ACCOUNTS),
    ]


def test_one_master_has_a_limited_number_of_them() -> None:
    """The others are named."""
    listed = SubAccountList(tuple(SubAccount(str(each), "n") for each in range(MOST_OF_ONE + 2)))

    plan = compare(listed, [], set(), 100)

    assert len(plan.new) == MOST_OF_ONE
    assert {each.reason for each in plan.left_out} == {TOO_MANY}


def test_a_new_name_and_a_return_are_kept() -> None:
    """The exchange may rename a sub-account, and list one again."""
    first, second = child("1", "old"), child("2", "two", gone=True)

    plan = compare(
        SubAccountList((SubAccount("1", "new"), SubAccount("2", "two"))), [first, second], set(), 9
    )

    assert [(each.account_id, each.name) for each in plan.renamed] == [(first.account_id, "new")]
    assert plan.back == (second.account_id,)
