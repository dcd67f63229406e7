"""The toy exchange: a PEM beside two other fields, pages, a POST read, two hosts, its own wallets."""

from contracts.exchanges.keys import CredentialField, CredentialKind, Curve, Form
from contracts.exchanges.types import Endpoint, Exchange, Region, Wallet

TOY = Exchange(
    key="toy",
    name="Toy",
    regions=(
        Region("world", "World", "https://api.toy.example", {"savings": "https://savings.toy.example"}),
    ),
    credential_kinds=(
        CredentialKind(
            "file",
            "Key file",
            (
                CredentialField("key_id", "Key", secret=False, shortest=8, longest=64, help="Toy shows it."),
                CredentialField(
                    "private_key",
                    "Private key",
                    secret=True,
                    form=Form.PEM,
                    longest=2048,
                    signs=True,
                    curve=Curve.P256,
                    help="The file that Toy gave you.",
                ),
                CredentialField("pin", "PIN", secret=True, shortest=4, longest=12, help="You chose it."),
            ),
        ),
    ),
    wallets=(
        Wallet("spot", "Spot"),
        Wallet("savings", "Savings"),
        Wallet("card", "Card", covered=False),
    ),
    read_only_permissions=frozenset({"look"}),
    further_permissions=frozenset({"spend"}),
    scheme="toy",
    reads={
        "key": Endpoint("GET", "/v1/key"),
        "spot": Endpoint("GET", "/v1/spot", frozenset({"cursor"})),
        "savings": Endpoint("POST", "/v1/savings", body_keys=frozenset({"unit"}), host="savings"),
    },
    verify_reads=frozenset({"key"}),
    sync_reads=frozenset({"key", "spot", "savings"}),
    signing_keys=frozenset({"nonce"}),
    encoding="json",
)
