"""A secret is wrapped for the vault alone, and a key that may do more than read is refused."""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap_with_padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from contracts.credentials import Verified
from contracts.exchanges.binance import BINANCE
from contracts.exchanges.okx import OKX
from contracts.values import Secret
from contracts.wire.pinning import NotAWrappingKey
from gateway.accounts.credentials import api_key_hint, check_read_only, wrap_secret
from gateway.errors import Faulted
from gateway.http.problems import problem_of

VAULT = rsa.generate_private_key(65537, 2048)
PEM = VAULT.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def test_the_vault_unwraps_what_was_wrapped() -> None:
    """RSA-OAEP-SHA256 carries the AES key, AES-KWP the secret, as Vault's import requires."""
    wrapped = wrap_secret(b"22582BD0CFF14C41EDBF1AB98506286D", PEM)

    oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
    once = VAULT.decrypt(wrapped[:256], oaep)
    assert aes_key_unwrap_with_padding(once, wrapped[256:]) == b"22582BD0CFF14C41EDBF1AB98506286D"


def test_two_wrappings_of_a_secret_differ() -> None:
    """Equal secrets cannot be recognised by their wrapped form."""
    assert wrap_secret(b"x" * 32, PEM) != wrap_secret(b"x" * 32, PEM)


def test_a_wrapping_key_that_is_not_rsa_is_refused() -> None:
    """Another kind of key, or a text that is not a valid key, gets no secret."""
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    for pem in (other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(), "no key"):
        with pytest.raises(NotAWrappingKey):
            wrap_secret(b"x" * 32, pem)


@pytest.mark.parametrize(
    ("permissions", "code", "rights"),
    [
        (("read_only", "trade"), "over_privileged_key", ["trade"]),
        (("read_only", "withdraw", "trade"), "over_privileged_key", ["trade", "withdraw"]),
        (("withdraw",), "over_privileged_key", ["withdraw"]),
        (("read_only", "trade", "lend"), "over_privileged_key", ["lend", "trade"]),
        (("read_only", "lend"), "unknown_right", ["lend"]),
        (("unreadable-right",), "unknown_right", ["unreadable-right"]),
    ],
)
def test_a_key_that_may_do_more_than_read_is_refused_by_name(
    permissions: tuple[str, ...], code: str, rights: list[str]
) -> None:
    """The refusal names the extra right and whether we know it, by the same code as at a sync."""
    with pytest.raises(Faulted) as caught:
        check_read_only(OKX, Verified("1", "1", permissions, ()))

    problem = problem_of(caught.value)
    assert (problem.status, problem.code, problem.members["rights"]) == (422, code, rights)
    assert all(right in problem.detail for right in rights)


def test_a_key_that_may_not_read_is_refused() -> None:
    """A key without any right is useless."""
    with pytest.raises(Faulted, match="permission_missing"):
        check_read_only(OKX, Verified("1", "1", (), ()))


def test_a_read_only_key_is_accepted() -> None:
    """Exactly the Read permission is accepted."""
    check_read_only(OKX, Verified("1", "1", ("read_only",), ()))


@pytest.mark.parametrize(
    ("extra", "code", "rights"),
    [
        ("enableSpotAndMarginTrading", "over_privileged_key", ["enableSpotAndMarginTrading"]),
        ("enableTeleport", "unknown_right", ["enableTeleport"]),
        ("", "permission_missing", []),
    ],
)
def test_rights_of_binance_are_judged_by_what_a_key_must_have(
    extra: str, code: str, rights: list[str]
) -> None:
    """A right beyond reading, and one that our table does not know, refuse the key and are named."""
    may = ("enableReading", extra) if extra else ("enableFixReadOnly",)
    with pytest.raises(Faulted, match=code) as caught:
        check_read_only(BINANCE, Verified("1", "1", may, ()))
    assert caught.value.members.get("rights", []) == rights
    assert all(right in caught.value.detail for right in rights)

    check_read_only(BINANCE, Verified("1", "1", ("enableReading",), ()))
    check_read_only(BINANCE, Verified("1", "1", tuple(sorted(BINANCE.read_only_permissions)), ()))


def test_the_hint_is_the_end_of_the_key_and_never_most_of_it() -> None:
    """Four characters of a long key, none of a short one."""
    assert api_key_hint(OKX.typed[0], {"api_key": Secret("37c541a1-0000-4000-8000-10fe7a038418")}) == "8418"
    assert api_key_hint(OKX.typed[0], {"api_key": Secret("short")}) == ""
