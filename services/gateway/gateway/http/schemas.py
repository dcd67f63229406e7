"""OpenAPI schemas of the project's own types."""

from enum import StrEnum
from inspect import cleandoc, getdoc
from typing import Any

import msgspec
from litestar.openapi.spec import OpenAPIType, Schema
from litestar.params import Parameter
from litestar.plugins import OpenAPISchemaPlugin
from litestar.typing import FieldDefinition

from contracts.exchanges import EXCHANGES
from contracts.exchanges.keys import CredentialField, CredentialKind
from contracts.exchanges.types import Exchange
from contracts.values import Secret

LATER = "A later version may send a value that is not listed."


class SecretSchema(OpenAPISchemaPlugin):
    """Describes a Secret as a write-only string."""

    @staticmethod
    def is_plugin_supported_type(value: Any) -> bool:
        """Return whether a type is Secret."""
        return value is Secret

    def to_openapi_schema(  # the signature is Litestar's
        self,
        field_definition: FieldDefinition,  # noqa: ARG002 - see above
        schema_creator: Any,  # noqa: ARG002 - see above
    ) -> Schema:
        """Describe a Secret."""
        return Schema(type=OpenAPIType.STRING, min_length=1, max_length=256, write_only=True)


class OpenEnumSchema(OpenAPISchemaPlugin):
    """Describes an enum as text with its values as examples, because a closed list breaks old clients."""

    def is_plugin_supported_field(self, field_definition: FieldDefinition) -> bool:
        """Return whether a field is a string enum."""
        return not field_definition.is_union and field_definition.is_subclass_of(StrEnum)

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: Any) -> Any:
        """Describe an enum once, and return a reference to it."""
        registry, kind = schema_creator.schema_registry, field_definition.annotation
        schema: Schema = registry.get_schema_for_field_definition(field_definition)
        schema.title, schema.type = kind.__name__, OpenAPIType.STRING
        schema.description = f"{getdoc(kind)}\n\n{LATER}"
        schema.examples = [member.value for member in kind]
        return registry.get_reference_for_field_definition(field_definition)


class StructSchema(OpenAPISchemaPlugin):
    """Adds the docstring of a struct to its schema; every field that a response always has is required."""

    def is_plugin_supported_field(self, field_definition: FieldDefinition) -> bool:
        """Return whether a field is a struct."""
        return not field_definition.is_union and field_definition.is_subclass_of(msgspec.Struct)

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: Any) -> Schema:
        """Return Litestar's schema of a struct, with the docstring and required fields added."""
        kind = field_definition.annotation
        litestars = next(
            plugin
            for plugin in schema_creator.plugins
            if plugin is not self and schema_creator.plugin_supports_field(plugin, field_definition)
        )
        schema: Schema = litestars.to_openapi_schema(field_definition, schema_creator)
        schema.description = cleandoc(kind.__doc__)
        if not kind.__struct_config__.forbid_unknown_fields:  # only requests forbid them
            _require_all(schema, kind)
        return schema


def _require_all(schema: Schema, kind: type[msgspec.Struct]) -> None:
    """Require the fields that are always sent; msgspec omits UNSET fields."""
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
        min_length=field.shortest,
        max_length=field.longest,
        write_only=True,
        description=" ".join(each for each in said if each),
    )


def _credentials(exchange: Exchange, kind: CredentialKind) -> Schema:
    title = f"{exchange.name} credentials"
    return Schema(
        title=title if len(exchange.credential_kinds) == 1 else f"{title}: {kind.name}",
        description="\n".join(kind.steps) or None,
        type=OpenAPIType.OBJECT,
        properties={field.key: _credential(field) for field in kind.fields},
        required=[field.key for field in kind.fields],
        additional_properties=False,
    )


def _kinds() -> list[tuple[Exchange, CredentialKind]]:
    """Return all kinds of keys, with the kinds with most fields first.

    A client that was generated from the document takes the first one whose required fields are there, and may
    drop further fields.
    """
    kinds = [(exchange, kind) for exchange in EXCHANGES.values() for kind in exchange.credential_kinds]
    return sorted(kinds, key=lambda each: -len(each[1].fields))


# The fields of a key, as the account's exchange names them.
CREDENTIALS = Parameter(
    description="The fields of a read-only API key, as GET /api/v1/exchanges names them for the exchange.",
    schema_extra={
        "any_of": [_credentials(exchange, kind) for exchange, kind in _kinds()],
        "additional_properties": None,
    },
)
