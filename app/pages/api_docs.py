"""The API's own description, made plain enough for a page."""

from collections.abc import Iterator


def operations(schema: dict) -> list[dict]:
    """Every operation of an OpenAPI schema: {method, path, summary, fields, answers}, in the schema's order."""
    found = []
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            answers = [answer["description"] for answer in operation["responses"].values()]
            fields = [*parameters(operation), *body_fields(schema, operation)]
            entry = {"method": method.upper(), "path": path, "summary": operation["description"]}
            found.append(entry | {"fields": fields, "answers": answers})
    return found


def parameters(operation: dict) -> Iterator[dict]:
    """The parameters of an address: {name, place, required, type, description}."""
    for parameter in operation.get("parameters", []):
        yield field(parameter["name"], parameter["in"], parameter["schema"], parameter.get("required", False))


def body_fields(schema: dict, operation: dict) -> Iterator[dict]:
    """The fields of a JSON body, as `parameters` gives them."""
    content = operation.get("requestBody", {}).get("content", {})
    reference = content.get("application/json", {}).get("schema", {}).get("$ref")
    if reference:
        body = schema["components"]["schemas"][reference.rpartition("/")[2]]
        for name, properties in body["properties"].items():
            yield field(name, "body", properties, name in body.get("required", []))


def field(name: str, place: str, properties: dict, required: bool) -> dict:
    """One field in words."""
    default = properties.get("default")
    said = {"name": name, "place": place, "required": required, "type": kind(properties)}
    return said | {"default": default, "description": properties.get("description", "")}


def kind(properties: dict) -> str:
    """What a field may hold, in words."""
    if "enum" in properties:
        return " or ".join(map(str, properties["enum"]))
    if "anyOf" in properties:
        return " or ".join(kind(option) for option in properties["anyOf"] if option.get("type") != "null")
    if properties.get("type") == "array":
        return f"list of {kind(properties['items'])}"
    words = properties.get("type", "any")
    low, high = properties.get("minimum"), properties.get("maximum")
    if low is not None:
        words += f", from {low:,.0f}" + (f" to {high:,.0f}" if high is not None else "")
    return words
