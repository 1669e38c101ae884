"""The API's own description, made plain enough for a page."""

from collections.abc import Iterator
from dataclasses import dataclass

from gatescope.app.pages.documentation import anchor

MEDIA_TYPE = "application/json"


@dataclass(frozen=True)
class Field:
    """One field of a request: where it stands (query, path, header or body), what it may hold, and its default."""

    name: str
    place: str
    type: str
    required: bool
    default: object
    description: str


@dataclass(frozen=True)
class Operation:
    """One method of one path. `answers` are (status, what comes) pairs."""

    method: str
    path: str
    description: str
    fields: tuple[Field, ...]
    answers: tuple[tuple[str, str], ...]

    @property
    def anchor(self) -> str:
        """What the address of its place on the page ends with."""
        return anchor(f"{self.method} {self.path}")


def operations(schema: dict) -> list[Operation]:
    """Every operation of an OpenAPI schema, in the schema's order."""
    return [
        Operation(
            method.upper(),
            path,
            operation["description"],
            (*parameters(operation), *body_fields(schema, operation)),
            tuple((status, answer["description"]) for status, answer in operation["responses"].items()),
        )
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]


def parameters(operation: dict) -> Iterator[Field]:
    """The parameters of an address and of the request's head."""
    for parameter in operation.get("parameters", []):
        yield field(parameter["name"], parameter["in"], parameter["schema"], parameter.get("required", False))


def body_fields(schema: dict, operation: dict) -> Iterator[Field]:
    """The fields of a JSON body."""
    content = operation.get("requestBody", {}).get("content", {})
    reference = content.get(MEDIA_TYPE, {}).get("schema", {}).get("$ref")
    if reference:
        body = schema["components"]["schemas"][reference.rpartition("/")[2]]
        for name, properties in body["properties"].items():
            yield field(name, "body", properties, name in body.get("required", []))


def field(name: str, place: str, properties: dict, required: bool) -> Field:
    """One field, from its JSON schema."""
    description = properties.get("description", "")
    return Field(name, place, type_in_words(properties), required, properties.get("default"), description)


def type_in_words(properties: dict) -> str:
    """What a field may hold, in words."""
    if "enum" in properties:
        return " or ".join(map(str, properties["enum"]))
    if "anyOf" in properties:
        return " or ".join(type_in_words(option) for option in properties["anyOf"] if option.get("type") != "null")
    if properties.get("type") == "array":
        return f"list of {type_in_words(properties['items'])}"
    words = properties.get("type", "any")
    low, high = properties.get("minimum"), properties.get("maximum")
    if low is not None:
        words += f", from {low:,.0f}" + (f" to {high:,.0f}" if high is not None else "")
    return words
