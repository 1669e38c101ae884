import pytest

from gatescope.app.http.problems import printable, unknown_characters, visible


@pytest.mark.parametrize(
    ("character", "shown"),
    [("é", "é (U+00E9)"), ("\x00", "U+0000"), ("\u202e", "U+202E"), ("\u0301", "U+0301"), ("\u3000", "U+3000")],
)
def test_a_character_is_shown_only_where_that_shows_anything(character, shown):
    assert visible(character) == shown


def test_many_unknown_characters_are_counted():
    problem = unknown_characters("text", map(chr, range(0x4E00, 0x4E00 + 50)), "small")
    ((field, detail),) = problem.errors
    assert field == "text" and "U+4E00" in detail and "40 more" in detail and "/api/models/small" in detail


def test_a_field_name_is_made_fit_for_a_response():
    assert printable("layer") == "layer"
    assert printable("a\ud800\n") == r"a\ud800\n"
    assert len(printable("x" * 500)) == 61
