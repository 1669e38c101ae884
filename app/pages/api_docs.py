"""The API's own description, made plain enough for a page."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from gatescope.app.api.description import ALWAYS
from gatescope.app.pages.documentation import anchor

MEDIA_TYPE = "application/json"
Schema = dict[str, Any]  # an object of an OpenAPI document


class Field(NamedTuple):
    """One field of a request: where it stands (query, path, header or body), what it may hold, and its default."""

    name: str
    place: str
    type: str
    required: bool
    default: object
    description: str


class Operation(NamedTuple):
    """One method of one path. `answers` are (status, what comes) pairs, without those that go without saying, and
    `problems` the statuses with which it may refuse, without those that any request may be answered.
    """

    method: str
    path: str
    description: str
    fields: tuple[Field, ...]
    answers: tuple[tuple[str, str], ...]
    problems: tuple[str, ...]

    @property
    def anchor(self) -> str:
        """What the address of its place on the page ends with."""
        return anchor(f"{self.method} {self.path}")


def operations(schema: Schema) -> list[Operation]:
    """Every operation of an OpenAPI schema, in the schema's order."""
    bodies = schema["components"]["schemas"]
    return [
        Operation(
            method.upper(),
            path,
            operation["description"],
            (*parameters(operation), *body_fields(operation, bodies)),
            tuple(answers(operation)),
            tuple(problems(operation)),
        )
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]


def answers(operation: Schema) -> Iterator[tuple[str, str]]:
    """What comes at which status; a success that is not described speaks for itself."""
    for status, answer in operation["responses"].items():
        if answer.get("description", "Successful Response") != "Successful Response":
            yield status, answer["description"]


def problems(operation: Schema) -> Iterator[str]:
    """The statuses with which an operation may refuse, and others do not."""
    for status, answer in operation["responses"].items():
        if "$ref" in answer and int(status) not in ALWAYS:
            yield status


def parameters(operation: Schema) -> Iterator[Field]:
    """The parameters of an address and of the request's head."""
    for parameter in operation.get("parameters", []):
        yield field(parameter["name"], parameter["in"], parameter["schema"], parameter.get("required", False))


def body_fields(operation: Schema, bodies: Schema) -> Iterator[Field]:
    """The fields of a JSON body; bodies: the schemas that are referred to, by name."""
    content = operation.get("requestBody", {}).get("content", {})
    body_schema = content.get(MEDIA_TYPE, {}).get("schema", {})
    if "$ref" in body_schema:
        body = referred(body_schema, bodies)
        for name, properties in body["properties"].items():
            yield field(name, "body", properties, name in body.get("required", []), bodies)


def referred(reference: Schema, bodies: Schema) -> Schema:
    """The schema that is referred to."""
    found: Schema = bodies[reference["$ref"].rpartition("/")[2]]
    return found


def field(name: str, place: str, properties: Schema, required: bool, bodies: Schema | None = None) -> Field:
    """One field, from its JSON schema."""
    description = properties.get("description", "")
    return Field(name, place, type_in_words(properties, bodies), required, properties.get("default"), description)


def type_in_words(properties: Schema, bodies: Schema | None = None) -> str:
    """What a field may hold, in words; of what is an object, its own fields."""
    if "$ref" in properties:
        return f"{{{', '.join(referred(properties, bodies or {})['properties'])}}}"
    if "enum" in properties:
        return " or ".join(map(str, properties["enum"]))
    if "anyOf" in properties:
        options = [option for option in properties["anyOf"] if option.get("type") != "null"]
        return " or ".join(type_in_words(option, bodies) for option in options)
    if properties.get("type") == "array":
        return f"list of {type_in_words(properties['items'], bodies)}"
    words: str = properties.get("type", "any")
    low, high = properties.get("minimum"), properties.get("maximum")
    if low is not None:
        words += f", from {low:,.0f}" + (f" to {high:,.0f}" if high is not None else "")
    return words
