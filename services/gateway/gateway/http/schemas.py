"""How the OpenAPI document describes the types of our own."""

from enum import StrEnum
from inspect import cleandoc, getdoc
from typing import Any

import msgspec
from litestar.openapi.spec import OpenAPIType, Schema
from litestar.params import Parameter
from litestar.plugins import OpenAPISchemaPlugin
from litestar.typing import FieldDefinition

from contracts.exchanges import EXCHANGES
from contracts.exchanges.types import CredentialField, Exchange
from contracts.values import Secret

LATER = "A later version may send a value that is not listed."


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


class OpenEnumSchema(OpenAPISchemaPlugin):
    """Shows an enum as text with its values as examples, because a closed list would break old clients."""

    def is_plugin_supported_field(self, field_definition: FieldDefinition) -> bool:
        """Tell whether a field is an enum of texts."""
        return not field_definition.is_union and field_definition.is_subclass_of(StrEnum)

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: Any) -> Any:
        """Describe an enum once, and give what refers to it."""
        registry, kind = schema_creator.schema_registry, field_definition.annotation
        schema: Schema = registry.get_schema_for_field_definition(field_definition)
        schema.title, schema.type = kind.__name__, OpenAPIType.STRING
        schema.description = f"{getdoc(kind)}\n\n{LATER}"
        schema.examples = [member.value for member in kind]
        return registry.get_reference_for_field_definition(field_definition)


class StructSchema(OpenAPISchemaPlugin):
    """Adds the words of a struct to its schema; every field of an answer is required, because it is sent."""

    def is_plugin_supported_field(self, field_definition: FieldDefinition) -> bool:
        """Tell whether a field is a struct."""
        return not field_definition.is_union and field_definition.is_subclass_of(msgspec.Struct)

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: Any) -> Schema:
        """Describe a struct as Litestar does, with what Litestar leaves out."""
        kind = field_definition.annotation
        litestars = next(
            plugin
            for plugin in schema_creator.plugins
            if plugin is not self and schema_creator.plugin_supports_field(plugin, field_definition)
        )
        schema: Schema = litestars.to_openapi_schema(field_definition, schema_creator)
        schema.description = cleandoc(kind.__doc__)
        if not kind.__struct_config__.forbid_unknown_fields:  # an answer: requests refuse unknown fields
            _require_all(schema, kind)
        return schema


def _require_all(schema: Schema, kind: type[msgspec.Struct]) -> None:
    """Require what is always sent; msgspec leaves out what is UNSET."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    schema.required = sorted(name for name, field in fields.items() if field.default is not msgspec.UNSET)
    for described in (schema.properties or {}).values():
        if isinstance(described, Schema):
            described.default = None


PLUGINS = (SecretSchema(), OpenEnumSchema(), StructSchema())


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
