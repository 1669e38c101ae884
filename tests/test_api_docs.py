from gatescope.app.pages.api_docs import kind


def test_what_a_field_may_hold_is_said_in_words():
    assert kind({"type": "integer", "minimum": 1, "maximum": 2000}) == "integer, from 1 to 2,000"
    assert kind({"type": "integer", "minimum": 0}) == "integer, from 0"
    assert kind({"enum": ["every", "last"], "type": "string"}) == "every or last"
    array = {"type": "array", "items": {"type": "string"}}
    assert kind({"anyOf": [{"type": "string"}, array, {"type": "null"}]}) == "string or list of string"
