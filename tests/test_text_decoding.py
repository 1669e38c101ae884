import random
import struct
import time

import pytest

from gatescope.app.http.problems import Problem
from gatescope.app.networks.text_decoding import decoded, read_text, shown

WORDS = "Größe, café, naïve – “quoted”\nand a second line"
RUSSIAN = (
    "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему. Все смешалось в доме "
    "Облонских. Жена узнала, что муж был в связи с бывшею в их доме француженкою-гувернанткой."
)
JAPANESE = (
    "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。何でも薄暗いじめじめした所でニャーニャー泣いて"
    "いた事だけは記憶している。吾輩はここで始めて人間というものを見た。"
)
LATIN = "Größe, café, naïve\nand a second line"


def refused(content: bytes, limit: int = 2000) -> tuple[int, str]:
    with pytest.raises(Problem) as problem:
        read_text(content, limit)
    ((field, detail),) = problem.value.errors
    assert field == "body"
    return problem.value.status, detail


@pytest.mark.parametrize(
    ("content", "characters", "encoding"),
    [
        (WORDS.encode(), WORDS, "UTF-8"),
        (WORDS.encode("utf-8-sig"), WORDS, "UTF-8"),
        (b"\xff\xfe" + WORDS.encode("utf-16-le"), WORDS, "UTF-16-LE"),
        (b"\xfe\xff" + WORDS.encode("utf-16-be"), WORDS, "UTF-16-BE"),
        (b"\xff\xfe\0\0" + WORDS.encode("utf-32-le"), WORDS, "UTF-32-LE"),
        (b"\0\0\xfe\xff" + WORDS.encode("utf-32-be"), WORDS, "UTF-32-BE"),
        (LATIN.encode("utf-16-le"), LATIN, "UTF-16-LE"),
        (LATIN.encode("utf-16-be"), LATIN, "UTF-16-BE"),
        (LATIN.encode("latin-1"), LATIN, "Latin-1"),
        (WORDS.encode("cp1252"), WORDS, "Windows-1252"),
        ("cab café".encode("latin-1"), "cab café", "Latin-1"),
        ("日本語の文章です。".encode(), "日本語の文章です。", "UTF-8"),
    ],
)
def test_every_usual_encoding_is_read_and_named(content, characters, encoding):
    text = read_text(content, 2000)
    assert (text.characters, text.encoding) == (characters, encoding)


@pytest.mark.parametrize(
    ("characters", "codec", "encoding"),
    [
        (RUSSIAN, "koi8-r", "KOI8-R"),
        (RUSSIAN, "cp1251", "CP1251"),
        (JAPANESE, "shift-jis", "CP932"),
        (JAPANESE, "euc-jp", "EUC-JIS-2004"),
    ],
)
def test_an_encoding_in_which_a_language_is_heard_is_read_and_said_to_be_a_guess(characters, codec, encoding):
    text = read_text(characters.encode(codec), 2000)
    assert (text.characters, text.encoding) == (characters, encoding) and "guess" in text.notes[0]


def test_what_was_changed_on_the_way_is_said():
    assert decoded("a\ufeffb".encode("utf-8-sig")).characters == "a\ufeffb"
    assert "mark" in decoded("ab".encode("utf-8-sig")).notes[0]
    windows = decoded(b"one\r\ntwo\rthree\r\n")
    assert windows.characters == "one\ntwo\rthree\n" and "CR LF" in windows.notes[0] and windows.lines == 2
    cut = decoded("ein schönes Ende: ü".encode()[:-1])
    assert cut.characters == "ein schönes Ende: " and "cut off" in cut.notes[0]
    assert decoded(b"plain").notes == ()


def test_controls_and_invisible_characters_are_kept_and_shown():
    every = "".join(map(chr, range(0xA1))).replace("\r\n", "") + "\u2028\u202e\ufeff\u0301"
    text = read_text(every.encode(), 2000)
    assert text.characters == every and text.vocabulary == sorted(every)
    start = text.describe()["start"]
    assert start.startswith("␀␁") and "↵" in start and "␡" in start and "[U+202E]" in start and "[U+0085]" in start
    assert not any(character < " " or character in "\x7f\u2028\u202e\ufeff" for character in start)
    assert [shown(character) for character in "a é"] == ["a", " ", "é"]


def test_a_text_is_described():
    said = read_text(b"abc\nab", 2000).describe()
    assert said == {
        "encoding": "UTF-8",
        "characters": 6,
        "vocabulary_size": 4,
        "vocabulary": ["\n", "a", "b", "c"],
        "lines": 2,
        "start": "abc↵ab",
        "notes": [],
    }
    assert len(read_text(b"ab" * 500_000 + b"\n", 2000).describe()["start"]) == 200


BINARY = [
    b"%PDF-1.7\nall of it plain",
    b"PK\x03\x04" + bytes(90),
    b"\x89PNG\r\n\x1a\n" + bytes(90),
    b"\x7fELF\x02\x01" + bytes(90),
    b"\x1f\x8b\x08" + bytes(90),
    bytes(range(256)),
    struct.pack("<500f", *(number / 7 for number in range(500))),
    random.Random(0).randbytes(10_000),
    "日本語の文章です。これは学習に使えません。".encode("shift-jis"),
    "Все счастливые семьи похожи друг на друга".encode("koi8-r"),
    "Все счастливые семьи похожи друг на друга".encode() + b" \xff",
    b"\xff\xfe" + "odd".encode("utf-16-le") + b"x",
]


@pytest.mark.parametrize("content", BINARY)
def test_what_is_no_text_is_refused(content):
    status, detail = refused(content)
    assert status == 415 and ("not text" in detail or "UTF-8" in detail or "is not" in detail)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf", "white space"),
        (b"a", "over and over"),
        (b"a" * 10_000, "over and over"),
        (b" \n\t\n", "white space"),
        ("".join(map(chr, range(0x4E00, 0x4E00 + 5000))).encode(), "5,000 different"),
        ("half \ud800 of it".encode("utf-8", "surrogatepass"), "U+D800, character 6"),
        (b"\xff\xfe" + "a\udc00b".encode("utf-16-le", "surrogatepass"), "U+DC00, character 2"),
    ],
)
def test_what_cannot_be_learned_is_refused(content, word):
    status, detail = refused(content)
    assert status == 422 and word in detail


def test_the_time_grows_with_the_length_alone():
    contents = [
        b"x" * 999_999 + b"y\n",
        ("e" + "\u0301" * 10_000).encode() * 50,
        "👩‍👩‍👧‍👦".encode() * 40_000,
        "café ".encode("latin-1") * 200_000,
    ]
    for content in contents:
        began = time.process_time()
        read_text(content, 2000).describe()
        assert time.process_time() - began < 2
