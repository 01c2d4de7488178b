"""A file of questions is read whole, or refused with line and field."""

import json
from pathlib import Path
from typing import Any

import pytest

from forge_inference.calibrate.questions import FEWEST, InvalidQuestions, read
from tests.support.profiles import a_question, written


def test_questions_are_bodies_of_requests_with_what_is_expected(tmp_path: Path) -> None:
    asked = [a_question(number, expected="YES " if number % 2 else "no") for number in range(60)]
    found = read(written(tmp_path / "yn.jsonl", asked))
    assert (found.file, found.form, len(found.all)) == ("yn.jsonl", "yes_no_maybe", 60)
    assert [found.all[0].expected, found.all[1].expected] == ["no", "yes"]
    assert "expected" not in found.all[0].body
    assert "60 questions, yes_no_maybe; 60 gene_function; most often expected: " in found.told()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "no JSON"),
        ("[1]", "no JSON object"),
        ('{"expected": "yes"}' + "}", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ('{"query": ' + "9" * 5000 + "}", "no JSON"),
        ("\udcff", "not UTF-8"),
        (a_question(1, expected=None), "expected: null is no text"),
        (a_question(1, expected="perhaps"), "expected: 'perhaps' is none of yes, no, maybe"),
        ({key: value for key, value in a_question(1).items() if key != "expected"}, "expected: is missing"),
        (a_question(1, query_type="weather"), "query_type: "),
        (a_question(1, answer_form="text"), "answer_form: text has no options"),
        (a_question(1, answer_form="choice"), "choices: give them with answer_form choice"),
        (a_question(1, answer_form="choice", choices=["gain", "loss"], expected="yes"), "is none of gain, loss"),
        (a_question(1, surprise=1), "surprise: "),
        (a_question(1, stream=True), "stream: "),
        (a_question(1, confidence={"method": "none"}), "confidence.method: "),
        (a_question(1, query=""), "query: "),
        (a_question(3), "the same question as in line 4"),
    ],
)
def test_what_is_wrong_is_told_by_line_and_field(tmp_path: Path, line: Any, says: str) -> None:
    good = [json.dumps(a_question(number)) for number in range(60)]
    odd = line if isinstance(line, str) else json.dumps(line)
    path = tmp_path / "odd.jsonl"
    path.write_bytes("\n".join([*good, "", odd]).encode(errors="surrogateescape"))
    with pytest.raises(InvalidQuestions, match=r"odd\.jsonl:62: ") as refused:
        read(path)
    assert says in str(refused.value)
    assert len(str(refused.value)) < 1000


def test_the_first_faults_are_told_together(tmp_path: Path) -> None:
    asked = [a_question(number, query_type="weather") for number in range(60)]
    with pytest.raises(InvalidQuestions) as refused:
        read(written(tmp_path / "q.jsonl", asked))
    told = str(refused.value).splitlines()
    assert (len(told), told[-1]) == (11, "… and 50 more")
    assert told[3].startswith(f"{tmp_path}/q.jsonl:4: query_type: ")


def test_forms_are_not_mixed_and_a_handful_is_refused(tmp_path: Path) -> None:
    asked = [a_question(number) for number in range(FEWEST)]
    choice = a_question(99, answer_form="choice", choices=["gain", "loss"], expected="loss")
    with pytest.raises(InvalidQuestions, match=r"yes_no_maybe \(line 1\) and choice \(line 51\) in one file"):
        read(written(tmp_path / "mixed.jsonl", [*asked, choice]))
    with pytest.raises(InvalidQuestions, match="49 questions; below 50"):
        read(written(tmp_path / "few.jsonl", asked[1:]))
    with pytest.raises(InvalidQuestions, match="0 questions"):
        read(written(tmp_path / "none.jsonl", []))
    with pytest.raises(InvalidQuestions, match="cannot be read: No such file"):
        read(tmp_path / "missing.jsonl")


def test_a_byte_order_mark_and_windows_lines_are_read(tmp_path: Path) -> None:
    path = tmp_path / "windows.jsonl"
    lines = "\r\n".join(json.dumps(a_question(number)) for number in range(60))
    path.write_bytes(b"\xef\xbb\xbf" + lines.encode() + b"\r\n")
    assert len(read(path).all) == 60
