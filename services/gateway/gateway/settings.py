"""The gateway's settings, from its environment and the files that it names."""

from decimal import Decimal
from urllib.parse import parse_qsl, urlsplit

import msgspec

from chassis.inheriting import inherited
from chassis.settings import (
    MAX_NUMBER,
    Address,
    BadSetting,
    Environment,
    Running,
    content,
    listed,
    listening,
    parsed,
    running,
    seconds,
    whole_number,
)
from chassis.settings import OPTIONAL as RUNNING
from contracts.values import Secret, parse_amount
from contracts.wire.key_files import SigningKeys, read_signing_keys
from contracts.wire.pinning import read_fingerprints
from gateway.accounts.credentials import Pinned
from gateway.limits import DAY, MINUTE, Limits, Policy
from gateway.portfolio.drift import Tolerance
from gateway.proxies import Network, network

DEFAULT_PORT = 3000
DEFAULT_OPERATIONS_PORT = 3010
# A file with both fingerprints, as the vault's provisioning writes it; the variables of these names go first.
FINGERPRINTS_FILE = "VAULT_FINGERPRINTS_FILE"
FINGERPRINTS = ("WRAPPING_KEY_FINGERPRINT", "SEALING_KEY_FINGERPRINT")
WHERE_FINGERPRINTS_ARE = (
    "set it to the SHA-256 (hex) that the vault's provisioning writes into openbao/fingerprints.env, "
    "or to two with a comma while a key is rotated"
)
HOW_PROXIES_ARE_NAMED = (
    "list networks with commas, such as 10.0.0.0/8 or 2001:db8::/48: their host bits are 0, and none is "
    "wider than /8 (IPv4) or /16 (IPv6)"
)
DEFAULTS = {
    "SYNC_DEADLINE_SECONDS": "120",
    "CREDENTIAL_GRACE_SECONDS": "120",
    "LOSS_CONFIRMATION_SECONDS": "300",
    "SCHEDULED_SYNCS_WAITING": "500",
    "SYNC_CACHE_SECONDS": "5",
    "PRICE_SECONDS": "60",
    "RATES_SECONDS": "3600",
    "DRIFT_TOLERANCE_SHARE": "0.01",
    "DRIFT_TOLERANCE_USD": "1",
    "SYNC_LIMIT_PER_MINUTE": "60",
    "SYNC_ALL_LIMIT_PER_MINUTE": "6",
    "LOGIN_FAILURE_LIMIT_PER_MINUTE": "20",
    "REGISTRATION_LIMIT_PER_MINUTE": "20",
    "REGISTRATION_LIMIT_PER_DAY": "200",
    "WRITE_LIMIT_PER_MINUTE": "600",
    "REFRESH_LIMIT_PER_MINUTE": "60",
    "PASSWORD_CHANGE_LIMIT_PER_MINUTE": "6",
    "SIGN_IN_LIMIT_PER_MINUTE": "120",
    "SUBMISSION_LIMIT_PER_MINUTE": "6",
    "SUBMISSION_LIMIT_PER_DAY": "30",
    "EXPORT_LIMIT_PER_MINUTE": "12",
    "ADDRESS_LIMIT_FACTOR": "4",
    "SUBMISSIONS_AT_ONCE": "32",
    "PASSWORDS_AT_ONCE": "32",
    "WAITS_AT_ONCE": "2048",
}
# The optional variables of `load`; a starter passes on only these from its caller.
OPTIONAL = (*RUNNING, *DEFAULTS, "EGRESS_ADDRESSES", "TRUSTED_PROXIES", FINGERPRINTS_FILE)


class Settings(msgspec.Struct, frozen=True):
    """The settings of one gateway; `address` is the API's, `database_url` holds no password.

    `egress` are the source addresses of calls to exchanges, `pinned` the fingerprints of trusted vault keys.
    `database_passwords` are two while one replaces the other.
    At most `scheduled_waiting` requests of the schedule wait for the workers of an exchange; 0 turns it off.
    A completed sync answers requests for `sync_cache_seconds`.
    """

    running: Running
    address: Address
    database_url: str
    database_passwords: tuple[Secret, ...]
    jwt_keys: SigningKeys
    grant_keys: SigningKeys
    egress: tuple[str, ...]
    pinned: Pinned
    sync_deadline_seconds: float
    credential_grace_seconds: float
    loss_confirmation_seconds: float
    scheduled_waiting: int
    sync_cache_seconds: float
    price_seconds: float
    rates_seconds: float
    drift_tolerance: Tolerance
    limits: Limits
    submissions_at_once: int
    passwords_at_once: int
    waits_at_once: int
    trusted_proxies: tuple[Network, ...]

    @property
    def certificates(self) -> dict[str, str]:
        """Return the files of its certificates, by setting; the URL of the database names its CA's."""
        query = dict(parse_qsl(urlsplit(self.database_url).query))
        database = {"DATABASE_URL": query["sslrootcert"]} if "sslrootcert" in query else {}
        return {**self.running.certificates, **database}


def load(environ: Environment) -> Settings:
    """Read the settings; raises BadSetting."""
    environ = {**DEFAULTS, **_written_fingerprints(environ), **environ}
    operations = running(environ, DEFAULT_OPERATIONS_PORT)
    address = listening(environ, ["PORT"], DEFAULT_PORT)
    if operations.operations == address:
        raise BadSetting("OPERATIONS_PORT must not be the port of the API")
    return Settings(
        running=operations,
        address=inherited(environ, address),
        database_url=parsed(environ, "DATABASE_URL", str),
        database_passwords=parsed(environ, "DATABASE_PASSWORD_FILE", _passwords),
        jwt_keys=parsed(environ, "JWT_PRIVATE_KEY_FILE", _signing_keys),
        grant_keys=parsed(environ, "GRANT_PRIVATE_KEY_FILE", _signing_keys),
        egress=listed(environ.get("EGRESS_ADDRESSES", "")),
        pinned=Pinned(*(_fingerprints(environ, name) for name in FINGERPRINTS)),
        sync_deadline_seconds=parsed(environ, "SYNC_DEADLINE_SECONDS", seconds),
        credential_grace_seconds=parsed(environ, "CREDENTIAL_GRACE_SECONDS", seconds),
        loss_confirmation_seconds=parsed(environ, "LOSS_CONFIRMATION_SECONDS", seconds),
        scheduled_waiting=parsed(environ, "SCHEDULED_SYNCS_WAITING", _whole_number_or_0),
        sync_cache_seconds=parsed(environ, "SYNC_CACHE_SECONDS", _seconds_or_0),
        price_seconds=parsed(environ, "PRICE_SECONDS", seconds),
        rates_seconds=parsed(environ, "RATES_SECONDS", seconds),
        drift_tolerance=Tolerance(
            parsed(environ, "DRIFT_TOLERANCE_SHARE", _amount), parsed(environ, "DRIFT_TOLERANCE_USD", _amount)
        ),
        limits=limits(environ),
        submissions_at_once=parsed(environ, "SUBMISSIONS_AT_ONCE", whole_number),
        passwords_at_once=parsed(environ, "PASSWORDS_AT_ONCE", whole_number),
        waits_at_once=parsed(environ, "WAITS_AT_ONCE", whole_number),
        trusted_proxies=_networks(environ),
    )


def limits(environ: Environment) -> Limits:
    """Read the rate limits; raises BadSetting."""
    factor = parsed(environ, "ADDRESS_LIMIT_FACTOR", whole_number)

    def policy(name: str, setting: str, window: int = MINUTE, *, shared: bool = False) -> Policy:
        return Policy(name, parsed(environ, setting, whole_number), window, shared)

    def of_address(own: Policy) -> Policy:
        quota = min(own.quota * factor, MAX_NUMBER)
        return msgspec.structs.replace(own, name=f"{own.name}-address", quota=quota, shared=True)

    write = policy("write", "WRITE_LIMIT_PER_MINUTE")
    submissions = (
        policy("submit", "SUBMISSION_LIMIT_PER_MINUTE"),
        policy("submit-daily", "SUBMISSION_LIMIT_PER_DAY", DAY),
    )
    return Limits(
        sync=policy("sync", "SYNC_LIMIT_PER_MINUTE"),
        sync_all=policy("sync-all", "SYNC_ALL_LIMIT_PER_MINUTE"),
        login=policy("login", "LOGIN_FAILURE_LIMIT_PER_MINUTE"),
        register=(
            policy("register", "REGISTRATION_LIMIT_PER_MINUTE", shared=True),
            policy("register-daily", "REGISTRATION_LIMIT_PER_DAY", DAY, shared=True),
        ),
        write=write,
        refresh=policy("refresh", "REFRESH_LIMIT_PER_MINUTE"),
        password=policy("password", "PASSWORD_CHANGE_LIMIT_PER_MINUTE"),
        signed_in=policy("sign-in", "SIGN_IN_LIMIT_PER_MINUTE"),
        submissions=submissions,
        export=policy("export", "EXPORT_LIMIT_PER_MINUTE"),
        address=of_address(write),
        address_submissions=of_address(submissions[0]),
    )


def _written_fingerprints(environ: Environment) -> Environment:
    """Return the two settings of the file that FINGERPRINTS_FILE names; raises BadSetting."""
    if not environ.get(FINGERPRINTS_FILE):
        return {}
    lines = parsed(environ, FINGERPRINTS_FILE, lambda text: content(text).decode()).splitlines()
    found = dict(line.partition("=")[::2] for line in lines)
    return {name: found[name] for name in FINGERPRINTS if name in found}


def _fingerprints(environ: Environment, name: str) -> frozenset[str]:
    """Read the pinned fingerprints of a key; BadSetting says where the operator finds them."""
    try:
        return parsed(environ, name, read_fingerprints)
    except BadSetting as error:
        raise BadSetting(f"{error}; {WHERE_FINGERPRINTS_ARE}") from None


def _networks(environ: Environment) -> tuple[Network, ...]:
    if not environ.get("TRUSTED_PROXIES"):
        return ()
    try:
        return parsed(environ, "TRUSTED_PROXIES", lambda text: tuple(map(network, listed(text))))
    except BadSetting as error:
        raise BadSetting(f"{error}; {HOW_PROXIES_ARE_NAMED}") from None


def _whole_number_or_0(text: str) -> int:
    return 0 if text == "0" else whole_number(text)


def _seconds_or_0(text: str) -> float:
    return 0.0 if text == "0" else seconds(text)


def _passwords(text: str) -> tuple[Secret, ...]:
    return tuple(map(Secret, content(text).decode().split("\n")))


def _amount(text: str) -> Decimal:
    amount = parse_amount(text)
    if amount < 0:
        raise ValueError("it is negative")
    return amount


def _signing_keys(text: str) -> SigningKeys:
    return read_signing_keys(content(text))
