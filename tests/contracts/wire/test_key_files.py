"""A file of keys: the first key signs, each counts, and a line before a key says when it was made."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from hypothesis import given
from hypothesis import strategies as st

from contracts.credentials import Destroy, Store
from contracts.wire.grants import (
    VERIFY,
    Grant,
    GrantRefused,
    check_request,
    read_signed,
    sign_grant,
    sign_request,
)
from contracts.wire.key_files import (
    MAX_KEYS,
    VerifyingKeys,
    created,
    created_line,
    read_signing_keys,
    read_verifying_keys,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
KEYS = [Ed25519PrivateKey.generate() for _ in range(MAX_KEYS + 1)]
PRIVATE = [key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) for key in KEYS]
PUBLIC = [key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo) for key in KEYS]
CURVE = ec.generate_private_key(ec.SECP256R1())
LEADS = st.sampled_from([b"", b"\n\n", created_line(NOW), b"# the successor, by a - b --- c\n"])


@given(st.lists(st.tuples(st.sampled_from(range(MAX_KEYS)), LEADS), min_size=1, max_size=MAX_KEYS))
def test_each_key_of_a_file_is_read_in_its_order(chosen: list[tuple[int, bytes]]) -> None:
    """Text between the keys does not matter, and an earlier release, which reads one key, gets the first."""
    private = b"".join(lead + PRIVATE[number] for number, lead in chosen)
    public = b"".join(lead + PUBLIC[number] for number, lead in chosen)
    raw = [KEYS[number].public_key().public_bytes_raw() for number, _ in chosen]

    signing, verifying = read_signing_keys(private), read_verifying_keys(public)

    assert [key.public_bytes_raw() for key in verifying.keys] == raw
    assert [key.public_bytes_raw() for key in signing.accepted.keys] == raw
    assert signing.current.public_key().public_bytes_raw() == raw[0]
    assert signing.made == verifying.made == (NOW if chosen[0][1] == created_line(NOW) else None)
    for first in (load_pem_private_key(private, None).public_key(), load_pem_public_key(public)):
        assert first.public_bytes(Encoding.Raw, PublicFormat.Raw) == raw[0]


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"no key",
        PUBLIC[0] + PRIVATE[0],
        PUBLIC[0] + PUBLIC[1].replace(b"-----END", b"-----"),
        PUBLIC[0].replace(b"-----END", b"-----") + PUBLIC[1],
        PUBLIC[0] + PUBLIC[1][:60],
        PUBLIC[0] + CURVE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        b"".join(PUBLIC),
    ],
    ids=str.split("empty text private-key no-end no-end-of-the-first cut another-curve too-many"),
)
def test_a_file_with_a_key_that_would_not_count_is_refused(file: bytes) -> None:
    """A service that silently skipped a key would refuse the signatures of its neighbours."""
    with pytest.raises(ValueError, match=r"."):
        read_verifying_keys(file)
    with pytest.raises(ValueError, match=r"."):
        read_signing_keys(file.replace(b"PUBLIC", b"PRIVATE"))


def test_a_signature_of_each_live_key_counts_and_of_no_other() -> None:
    """Grants and requests of the key in use and of the one before are accepted, those of a third are not."""
    live = VerifyingKeys(tuple(key.public_key() for key in KEYS[:2]))
    grant = Grant(uuid4(), "okx", VERIFY, NOW)
    store = Store(uuid4(), uuid4(), "okx", "0" * 16, b"wrapped", b"sealed", NOW + timedelta(seconds=8))
    destroy = Destroy(uuid4(), uuid4())

    for key in KEYS[:2]:
        assert read_signed(sign_grant(grant, key), live) == grant
        check_request(sign_request(store, key), live)
        check_request(sign_request(destroy, key), live)
    with pytest.raises(GrantRefused):
        read_signed(sign_grant(grant, KEYS[2]), live)
    for request in (sign_request(store, KEYS[2]), sign_request(destroy, KEYS[2])):
        with pytest.raises(GrantRefused):
            check_request(request, live)
    with pytest.raises(InvalidSignature):
        VerifyingKeys(()).verify(KEYS[0].sign(b""), b"")


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(2020, 1, 1)))  # noqa: DTZ001 - as asked for
def test_the_time_of_a_key_is_read_as_it_was_written(time: datetime) -> None:
    """In whole seconds."""
    assert created(created_line(time) + PRIVATE[0]) == time.replace(microsecond=0)


@given(st.binary(max_size=60))
def test_any_other_text_is_no_time(text: bytes) -> None:
    """A key without a line, or with an unreadable or local time, has none, also beside a key with one."""
    for line in (text, b"Created: " + text.replace(b"Z", b"") + b"\n", b"Created: 2026-11-24T12:00:00\n"):
        assert created(line + PRIVATE[0]) is None
    assert created(PRIVATE[0] + created_line(NOW) + PRIVATE[1]) is None
