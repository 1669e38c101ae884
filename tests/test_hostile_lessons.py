"""Files of lessons made to hurt: read in memory and time that follow their length, and refused with their line."""

import json
import time
import tracemalloc

import pytest

from gatescope.models.network.task import Task
from gatescope.models.refused import SENTENCE_LENGTH, Refused
from gatescope.models.training.dataset import ExampleDataset
from gatescope.models.training.examples import LONGEST_HEAD, LONGEST_LINE, dump_dataset
from gatescope.models.training.plan import plan

TEXTS, VALUES = '{"lessons": {}}\n', '{"lessons": {"reads": "values"}}\n'
CLASSES = '{"lessons": {"gives": "classes", "pattern": "many-to-one"}}\n'
EACH = '{"lessons": {"gives": "classes"}}\n'
TUNES = '{"lessons": {"reads": "values", "gives": "values", "pattern": "one-to-many"}}\n'
SUMS = '{"lessons": {"reads": "values", "gives": "values", "pattern": "many-to-one"}}\n'
WORDS = '{"lessons": {"reads": "words"}}\n'
MIB = 2**20


def line(input: object, target: object = None) -> str:
    return json.dumps({"input": input} | ({} if target is None else {"target": target})) + "\n"


def words(first: int, last: int) -> str:
    return " ".join(map(str, range(first, last)))


def bounded(text: str) -> str:
    """What a file is refused with, nothing where it is accepted; with at most eight times its length of memory, and
    what its longest line takes.
    """
    tracemalloc.start()
    began, said = time.monotonic(), ""
    try:
        ExampleDataset(text)
        plan(text, 24 * 3600.0)
    except Refused as refused:
        said = str(refused)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.monotonic() - began < 60 and peak <= 8 * len(text) + 64 * MIB
    assert len(said) <= 7 * SENTENCE_LENGTH and said.isprintable()
    return said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TEXTS + '{"input":"ab"}\n' * 5000 + json.dumps({"input": "ab" * 25_000}), "line 5002: must have 1 to 4,096"),
        (TEXTS + '{"input":"ab"}\n' * 2500 + json.dumps({"input": "ab" * 2000}), ""),
        (TEXTS + '{"input":"ab"}\n' + json.dumps({"input": "a" * LONGEST_LINE}), "line 3 has more than 4,194,304"),
        (VALUES + '{"input":[1,2]}\n{"input":[' + "1," * 500_000 + "1]}", "must have 1 to 4,096 steps"),
        (VALUES + '{"input":[[1],[2]]}\n{"input":[' + "[1]," * 250_000 + "[1]]}", "must have 1 to 4,096 steps"),
        (VALUES + line([[1] * 500_000]), "more than 65,536 numbers"),
        (VALUES + '{"input":' + "[" * 2 * MIB + "}\n", "line 2"),
        (TEXTS + '{"input":"ab"}\n' + '{"input":"ab","asks":[' + "0," * MIB + "0]}", ""),
        (TEXTS + '{"input":"ab"}\n' + '{"input":"ab","asks":[' + "9," * MIB + "0]}", "line 3: asks must be steps"),
        (CLASSES + "".join(line("a", n) for n in range(70_000)), "more than 65,536 labels"),
        (EACH + '{"input":"ab","target":["a","b"]}\n{"input":"ab","target":[' + "1," * MIB + "1]}", "2 are needed"),
        (TEXTS + '{"input":"ab"}\n' * 2 + "\n" * 4 * MIB, ""),
        (TEXTS + '{"input":"ab"}\n' * 2 + " " * 4 * MIB, ""),
        (json.dumps({"lessons": {"labels": ["a" * LONGEST_HEAD]}}), "the first line has more than 2,097,152"),
        (json.dumps({"lessons": {"labels": [*map(str, range(70_000))]}}) + "\n", "at most 65,536"),
        (WORDS + line(words(0, 4000)) * 2, ""),
        (
            WORDS + "".join(line(words(n, n + 4000)) for n in range(0, 80_000, 4000)),
            "line 18: there are more than 65,536",
        ),
        (TUNES + line([[1] * 1000], [1] * 4001) * 100, ""),
        (SUMS + line([1] * 4001, [1] * 1000) * 100, ""),
        ("\n", "the first line"),
        ("", "the first line"),
    ],
    ids=range(21),
)
def test_a_file_of_lessons_costs_no_more_than_its_length(text, words):
    said = bounded(text)
    assert words in said if words or "at least two" in said else said == "" or "line" not in said, said[:300]


@pytest.mark.slow
@pytest.mark.parametrize("shortest", ['{"input":"ab"}\n', '{"input":[1,2]}\n'])
def test_very_many_of_the_shortest_lessons(shortest):
    text = (TEXTS if "ab" in shortest else VALUES) + shortest * (2 * MIB // len(shortest) - 5)
    assert bounded(text) == ""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"input":[]}', "values: must be steps of 1 number each"),
        ('{"input":[[]]}', "values: must be steps of 1 number each"),
        ('{"input":[[1,2]]}', "values: must be steps of 1 number each"),
        ('{"input":[[1],[]]}', "values: must be steps of 1 number each"),
        ('{"input":[[1],1]}', "the input must be"),
        ('{"input":[[[1]]]}', "the input must be"),
        ('{"input":{}}', "the input must be"),
        ('{"input":null}', "the input must be"),
        ('{"input":[true]}', "the input must be"),
        ('{"input":["1"]}', "the input must be"),
        ('{"input":[NaN]}', "between -1,000,000 and 1,000,000"),
        ('{"input":[1e7]}', "between -1,000,000 and 1,000,000"),
        ('{"input":[-Infinity]}', "between -1,000,000 and 1,000,000"),
        ('{"input":[1e999]}', "between -1,000,000 and 1,000,000"),
        (f'{{"input":[{"9" * 400}]}}', "line 3: "),
        (f'{{"input":[{"9" * 5000}]}}', "line 3"),
        ('{"input":[1],"target":1}', "a target is not wanted"),
        ('{"input":[1],"asks":[-1]}', "asks must be steps"),
        ('{"input":[1],"asks":[true]}', "asks must be steps"),
        ('{"input":[1],"asks":[1.0]}', "asks must be steps"),
        (f'{{"input":[1],"asks":[{"9" * 400}]}}', "asks must be steps"),
        ('{"input":[1]}x', "is no lesson"),
        ('["input"]', "is no lesson"),
        ('{"input":[1],"input":', "is no lesson"),
        ('{"\\ud800":1}', "is no lesson"),
    ],
)
def test_numbers_that_are_no_lesson_are_refused_with_their_line(line, words):
    with pytest.raises(Refused, match="^text: line 3") as caught:
        ExampleDataset(VALUES + '{"input":[1,2]}\n' + line)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("head", "line", "words"),
    [
        (SUMS, '{"input":[1],"target":"a"}', "targets: must be steps of 1 number each"),
        (SUMS, '{"input":[1],"target":[[1,2]]}', "targets: must be steps of 1 number each"),
        (SUMS, '{"input":[1],"target":[1,2]}', "targets: must be steps of 1 number each"),
        (SUMS, '{"input":[1],"target":[[1],[2]]}', "targets: 1 are needed"),
        (SUMS, '{"input":[1],"target":NaN}', "between -1,000,000"),
        (SUMS, '{"input":[1],"target":[[]]}', "targets: must be steps"),
        (SUMS, f'{{"input":[1],"target":-{"9" * 400}}}', "line 3: "),
        (SUMS, '{"input":[1]}', "a target is needed"),
        (TUNES, '{"input":[1,2],"target":[1]}', "one input is needed"),
        (TUNES, '{"input":[1],"target":[]}', "line 3: "),
        (TUNES, line([1], [1] * 5001), "must have 1 to 4,096 steps; this has 5,001"),
        (CLASSES, '{"input":"a","target":[[1]]}', "the target must be"),
        (CLASSES, '{"input":"a","target":[]}', "targets: 1 are needed"),
        (CLASSES, '{"input":"a","target":[1,2]}', "targets: 1 are needed"),
        (CLASSES, '{"input":"","target":"a"}', "the input has no characters"),
        (CLASSES, '{"input":[1],"target":"a"}', "must be a text"),
        (CLASSES, f'{{"input":"a","target":{"9" * 5000}}}', "line 3"),
        (CLASSES.replace("{}", ""), '{"input":"a","target":null}', "a target is needed"),
    ],
)
def test_targets_that_do_not_fit_are_refused_with_their_line(head, line, words):
    good = {SUMS: '{"input":[1],"target":1}', TUNES: '{"input":[1],"target":[1]}'}
    with pytest.raises(Refused, match="^text: line 3") as caught:
        ExampleDataset(head + good.get(head, '{"input":"a","target":"b"}') + "\n" + line)
    assert words in str(caught.value)


def test_the_line_is_counted_with_the_empty_ones():
    with pytest.raises(Refused, match="line 7 is no lesson"):
        ExampleDataset(TEXTS + '\n\n{"input":"ab"}\n \n\t\nhello')


def test_a_written_file_has_no_end_of_line_but_its_own():
    texts = ["one\u2028two\x85three\u2029four\x7f", "a\x0bb\x0cc\x1cd\x1de\x1ef\r\n"]
    written = dump_dataset(Task(), [{"input": text} for text in texts], 2)
    assert len(written.splitlines()) == 3 and written.isascii()
    assert [json.loads(line)["input"] for line in written.splitlines()[1:]] == texts
    found = ExampleDataset(written)
    assert ["".join(found.vocabulary[token] for token in row.inputs) for row in found.rows] == texts


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (WORDS + line("a " + "b" * 201) * 2, "line 2: a word has more than 200 characters"),
        (
            WORDS + "".join(line(" ".join(f"{n:0150}{m}" for m in range(200))) for n in range(80)),
            "too many and too long",
        ),
    ],
    ids=range(2),
)
def test_what_no_file_of_weights_could_name_is_not_learnt(text, said):
    """It would be trained, and could not be read again."""
    with pytest.raises(Refused, match=said):
        ExampleDataset(text)


@pytest.mark.parametrize("label", [1, 1.0, True, "2", "x" * 200], ids=range(5))
def test_a_target_of_any_kind_is_a_label(label):
    text = dump_dataset(Task(gives="classes", pattern="many-to-one"), [{"input": "a", "target": label}] * 2, 2)
    assert ExampleDataset(text).task.labels == (str(label),)
