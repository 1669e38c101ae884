from gatescope.app.pages.api_docs import type_in_words


def test_what_a_field_may_hold_is_said_in_words():
    assert type_in_words({"type": "integer", "minimum": 1, "maximum": 2000}) == "integer, from 1 to 2,000"
    assert type_in_words({"type": "integer", "minimum": 0}) == "integer, from 0"
    assert type_in_words({"enum": ["every", "last"], "type": "string"}) == "every or last"
    bodies = {"Place": {"properties": {"layer": {}, "unit": {}}}}
    places = {"type": "array", "items": {"$ref": "#/components/schemas/Place"}}
    assert type_in_words(places, bodies) == "list of {layer, unit}"
    array = {"type": "array", "items": {"type": "string"}}
    assert type_in_words({"anyOf": [{"type": "string"}, array, {"type": "null"}]}) == "string or list of string"
