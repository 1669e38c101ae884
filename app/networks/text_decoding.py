"""Texts as people have them: bytes in some encoding, made characters, described before a network sees them, and refused
with a sentence where they are no text or too little of one.
"""

import codecs
import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

from starlette.status import HTTP_415_UNSUPPORTED_MEDIA_TYPE

from gatescope.app.http.problems import Problem

# A longer mark goes first: UTF-32's begins like UTF-16's.
MARKS = (
    (codecs.BOM_UTF8, "UTF-8"),
    (codecs.BOM_UTF32_LE, "UTF-32-LE"),
    (codecs.BOM_UTF32_BE, "UTF-32-BE"),
    (codecs.BOM_UTF16_LE, "UTF-16-LE"),
    (codecs.BOM_UTF16_BE, "UTF-16-BE"),
)
BINARY = {
    b"%PDF-": "a PDF: save its text",
    b"PK\x03\x04": "a zip or an office document: save its text",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"\x7fELF": "a program",
    b"MZ\x90": "a program",
    b"\x1f\x8b": "compressed: unpack it first",
}
WHITE = b"\t\n\v\f\r"
CONTROLS = bytes(set(range(32)) - set(WHITE)) + b"\x7f"
SHOWN = 200
HALF = re.compile("[\ud800-\udfff]")
ABOVE_C1 = bytes(range(0xA0, 256))
LISTENED = 2**20  # bytes at its beginning in which a language is listened for
HEARD = 0.1  # of 1: what charset-normalizer must hear of a language; a wrong guess at a text of some length has 0
HALF_SURROGATE = "holds half a surrogate pair ({code}, character {place:,}), which is no character: save it as UTF-8"


@dataclass(frozen=True)
class Text:
    """A decoded text; `notes` say what was left out or replaced on the way, one sentence each."""

    characters: str
    encoding: str
    notes: tuple[str, ...] = ()

    @cached_property
    def vocabulary(self) -> list[str]:
        """The different characters, in the order of their code points."""
        return sorted(set(self.characters))

    @property
    def lines(self) -> int:
        """How many lines there are; the last needs no end."""
        return self.characters.count("\n") + (not self.characters.endswith("\n"))

    def describe(self) -> dict[str, Any]:
        """What a network would see of it."""
        vocabulary = self.vocabulary
        return {
            "encoding": self.encoding,
            "characters": len(self.characters),
            "vocabulary_size": len(vocabulary),
            "vocabulary": vocabulary,
            "lines": self.lines,
            "start": "".join(map(shown, islice(self.characters, SHOWN))),
            "notes": list(self.notes),
        }


def shown(character: str) -> str:
    """A character so that it can be seen in a line: a control as its picture, what has no shape as its code point."""
    if character == "\n":
        return "↵"
    if character < " ":
        return chr(0x2400 + ord(character))
    if character == "\x7f":
        return "\u2421"
    if character != " " and not character.isprintable() and unicodedata.category(character) != "Zs":
        return f"[U+{ord(character):04X}]"
    return character


def read_text(content: bytes, vocabulary_limit: int) -> Text:
    """The text in these bytes; a Problem (415) where they are none, and (422) where it is no text to learn from."""
    if not content:
        raise Problem(("body", "is empty: send the text to learn as the request's body"))
    text = decoded(content)
    different = len(text.vocabulary)
    if not text.characters.strip():
        raise Problem(("body", "holds nothing but white space"))
    if different < 2:
        raise Problem(("body", "holds one character over and over: there is nothing to learn"))
    if different > vocabulary_limit:
        raise Problem(
            ("body", f"has {different:,} different characters; a network here knows at most {vocabulary_limit:,}")
        )
    return text


def decoded(content: bytes) -> Text:
    """Bytes as characters: by their byte order mark, else as UTF-8, else as UTF-16, Latin-1 or Windows-1252 where they
    can be nothing else, else as what a language is heard in. Line ends of two characters become one.
    """
    for start, kind in BINARY.items():
        if content.startswith(start):
            raise not_text(f"is not text but {kind}")
    for mark, encoding in MARKS:
        if content.startswith(mark):
            return _text(_strict(content[len(mark) :], encoding), encoding, ["The byte order mark is left out."])
    if unmarked := _unmarked_utf16(content):
        return _text(_strict(content, unmarked), unmarked, [])
    try:
        return _text(content.decode("utf-8"), "UTF-8", [])
    except UnicodeDecodeError as error:
        return _not_quite_utf8(content, error)


def not_text(detail: str) -> Problem:
    """The problem of bytes that are no text."""
    return Problem(("body", detail), status=HTTP_415_UNSUPPORTED_MEDIA_TYPE)


def _text(characters: str, encoding: str, notes: list[str]) -> Text:
    if "\r\n" in characters:
        characters = characters.replace("\r\n", "\n")
        notes = [*notes, "Line ends of two characters (CR LF) count as one."]
    return Text(characters, encoding, tuple(notes))


def _strict(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        try:
            _refuse_half_surrogates(content.decode(encoding, "surrogatepass"))
        except UnicodeDecodeError:
            pass
        raise not_text(f"begins as {encoding} but is not, from byte {error.start:,} on") from None


def _refuse_half_surrogates(characters: str) -> None:
    found = HALF.search(characters)
    if found:
        raise Problem(("body", HALF_SURROGATE.format(code=f"U+{ord(found[0]):04X}", place=found.start() + 1)))


def _unmarked_utf16(content: bytes) -> str | None:
    """UTF-16 without a mark: Latin letters leave every other byte zero, and no text has as many zeros otherwise."""
    if len(content) % 2 or b"\0" not in content:
        return None
    for encoding, zeros, letters in (
        ("UTF-16-LE", content[1::2], content[::2]),
        ("UTF-16-BE", content[::2], content[1::2]),
    ):
        if zeros.count(0) > 0.7 * len(zeros) and not letters.count(0):
            return encoding
    return None


def _not_quite_utf8(content: bytes, error: UnicodeDecodeError) -> Text:
    """What is no UTF-8: cut off at its end, holding half surrogates, broken, an older encoding, or no text at all."""
    before = content[: error.start]
    if error.reason == "unexpected end of data" and not before.isascii():
        return _text(before.decode("utf-8"), "UTF-8", ["The last character was cut off and is left out."])
    if len(content.translate(None, CONTROLS)) < len(content):
        raise not_text("is not text: it holds bytes that no text has")
    try:
        _refuse_half_surrogates(content.decode("utf-8", "surrogatepass"))
    except UnicodeDecodeError:
        pass
    lenient = content.decode("utf-8", "replace")
    broken, whole = lenient.count("\ufffd"), len(lenient) - len(lenient.encode("ascii", "ignore"))
    if whole > 5 * broken:
        raise not_text(f"is UTF-8 with broken characters, the first at byte {error.start:,}")
    high = content.translate(None, bytes(range(128)))
    if 3 * len(high) > len(content):
        return _recognised(content)
    encoding = "Windows-1252" if high.translate(None, ABOVE_C1) else "Latin-1"
    try:
        return _text(content.decode(encoding), encoding, [])
    except UnicodeDecodeError:
        raise not_text("is not text in an encoding known here: save it as UTF-8") from None


def _recognised(content: bytes) -> Text:
    """What is mostly not Latin and not UTF-8, by the encoding in which a language is heard; too little of it sounds
    like any.
    """
    from charset_normalizer import from_bytes

    start = content[:LISTENED]
    if len(start) < len(content):
        start = start[: max(start.rfind(b"\n"), start.rfind(b" ")) + 1] or start
    # where there is no white space at all, the cut may lie within a character of up to four bytes
    found = next(filter(None, (from_bytes(start[: len(start) - cut]).best() for cut in range(4))), None)
    try:
        if found is None or found.coherence < HEARD:
            raise LookupError
        characters = content.decode(found.encoding)
    except (LookupError, UnicodeDecodeError):
        known = "UTF-8, UTF-16, UTF-32, Latin-1"
        raise not_text(f"is not text in an encoding known here ({known}): save it as UTF-8") from None
    encoding = found.encoding.upper().replace("_", "-")
    return _text(characters, encoding, [f"The encoding is a guess, because the text sounds {found.language}."])
