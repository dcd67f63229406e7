"""How the OpenAPI document shows types that it does not know."""

from typing import Any

from litestar.openapi.spec import OpenAPIType, Schema
from litestar.plugins import OpenAPISchemaPlugin
from litestar.typing import FieldDefinition

from contracts.values import Secret


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
