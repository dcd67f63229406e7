"""The files that a deployment writes for the gateway's keys, and for the brokers that verify them."""

from datetime import UTC, datetime, timedelta

from contracts.wire.key_files import read_signing_keys, read_verifying_keys
from deploy.signing_keys import new_key, public_pem


def test_the_public_file_has_the_keys_of_the_private_one_with_their_times() -> None:
    """In the same order; a new key has its time, and a key of an earlier release has no time."""
    made_now, before = new_key(), new_key().partition(b"\n")[2]
    for private in (made_now + before, before + made_now):
        signing, verifying = read_signing_keys(private), read_verifying_keys(public_pem(private))

        assert [key.public_bytes_raw() for key in verifying.keys] == [
            key.public_bytes_raw() for key in signing.accepted.keys
        ]
        assert verifying.made == signing.made
        assert (signing.made is None) == private.startswith(before)
    made = read_signing_keys(made_now).made
    assert made is not None
    assert timedelta(0) <= datetime.now(UTC) - made < timedelta(minutes=1)
