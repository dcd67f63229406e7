"""What the OpenAPI document says beside the routes: names of operations, groups, and types of our own."""

from typing import Any

from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import OpenAPIType, Schema, Tag
from litestar.params import Parameter
from litestar.plugins import OpenAPISchemaPlugin
from litestar.typing import FieldDefinition

from contracts.exchanges import EXCHANGES
from contracts.exchanges.types import CredentialField, Exchange
from contracts.values import Secret

TAGS = [
    Tag("accounts", "Accounts at exchanges: connect, repair, rename, sync and delete them."),
    Tag("auth", "Sign up, sign in and out, and renew tokens; the own user and its sessions."),
    Tag("balances", "What the wallets of an account hold, and how true it is."),
    Tag("exchanges", "The exchanges that can be connected, and what their keys need."),
    Tag("syncs", "Syncs and their outcomes."),
]


def operation_id(handler: HTTPRouteHandler, _method: Any, _path: Any) -> str:
    """Name an operation as programs call it: `sync_account` is `syncAccount`."""
    first, *others = handler.handler_name.split("_")
    return first + "".join(word.capitalize() for word in others)


class SecretSchema(OpenAPISchemaPlugin):
    """Shows a Secret as a password."""

    @staticmethod
    def is_plugin_supported_type(value: Any) -> bool:
        """Tell whether a type is Secret."""
        return value is Secret

    def to_openapi_schema(  # the signature is Litestar's
        self,
        field_definition: FieldDefinition,  # noqa: ARG002 - see above
        schema_creator: Any,  # noqa: ARG002 - see above
    ) -> Schema:
        """Describe a Secret."""
        return Schema(type=OpenAPIType.STRING, min_length=1, max_length=256, write_only=True)


def _credential(field: CredentialField) -> Schema:
    said = (f"{field.name}.", field.help, f"Form: {field.form}.")
    return Schema(
        type=OpenAPIType.STRING,
        min_length=1,
        max_length=field.longest,
        write_only=True,
        description=" ".join(each for each in said if each),
    )


def _credentials(exchange: Exchange) -> Schema:
    return Schema(
        title=f"{exchange.name} credentials",
        type=OpenAPIType.OBJECT,
        properties={field.key: _credential(field) for field in exchange.credential_fields},
        required=[field.key for field in exchange.credential_fields],
        additional_properties=False,
    )


# The fields of a key as the exchange of the account names them.
CREDENTIALS = Parameter(
    description="The fields of a read-only API key, as GET /api/v1/exchanges names them for the exchange.",
    schema_extra={
        "any_of": [_credentials(exchange) for exchange in EXCHANGES.values()],
        "additional_properties": None,
    },
)
