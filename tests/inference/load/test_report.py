"""What people see: the plot, and the line that tells how far it is."""

import io
from array import array
from xml.etree import ElementTree

import pytest

from forge_inference.load.figures import Slo, figures
from forge_inference.load.options import parse
from forge_inference.load.plot import Line, Panel, svg
from forge_inference.load.records import Record, Run
from forge_inference.load.report import Progress, table

SVG = "{http://www.w3.org/2000/svg}"


def paths(drawing: str) -> list[str]:
    """Lines of data, without the grid's."""
    found = ElementTree.fromstring(drawing).iter(f"{SVG}path")  # noqa: S314 - our own
    return [path.attrib["d"] for path in found if path.attrib.get("fill") == "none"]


def test_a_line_goes_through_its_values_and_leaves_gaps() -> None:
    (line,) = paths(svg("a", [Panel("s", [Line("ttft", [0.0, 10.0, None, 5.0])])]))
    assert line == "M162.5 190.0h0L367.5 40.0M777.5 115.0h0"  # four seconds on 820 pixels, 0 to 10 on 150


def test_a_plot_of_nothing_is_a_plot() -> None:
    assert paths(svg("a", [Panel("s", [Line("ttft", [None, None])])])) == []
    assert paths(svg("a", [])) == []


def test_words_of_a_user_do_no_harm_in_a_plot() -> None:
    drawing = svg('<&"', [Panel("<s>", [Line("a & b", [1.0])])])
    texts = [text.text for text in ElementTree.fromstring(drawing).iter(f"{SVG}text")]  # noqa: S314 - our own
    assert {'<&"', "<s>", "a & b"} <= set(texts)


@pytest.mark.parametrize("most", [0.0, 1e-4, 0.7, 1, 7, 10, 4321, 1e6])
def test_axes_are_labelled_with_few_round_numbers(most: float) -> None:
    drawing = svg("t", [Panel("u", [Line("n", [most])])])
    ticks = [
        float(text.text or "")
        for text in ElementTree.fromstring(drawing).iter(f"{SVG}text")  # noqa: S314 - our own
        if text.attrib.get("text-anchor") == "end"
    ]
    assert ticks[0] == 0
    assert 2 <= len(ticks) <= 6
    assert ticks[-1] >= most


def test_a_model_that_says_nothing_is_pointed_out() -> None:
    """One that was tuned for chats may end a bare text at once; as figures alone that would look like speed."""
    run = Run([0.0], 1.0, records=[Record(0, 0.0, 0.0, ended=0.1, tokens=1)], lasted=1.0)
    said = table(figures(run, Slo(), 1.0), parse(["http://localhost:8000", "--rate", "1", "--api", "completions"], {}))
    assert "NOTE: 1 whole answers had no text and so no first token. Is /v1/completions the route you meant?" in said


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def a_run_at(seconds: float) -> Run:
    run = Run([], 60.0, records=[Record(0, 0, 0, array("d", [0.25]), 0.5), Record(1, 0, 0)])
    run.ended["succeeded"] = 1
    run.beats, run.lasted = [(0.1, 0.004)], seconds
    return run


def test_progress_is_one_line_on_a_terminal_and_a_line_each_ten_seconds_elsewhere() -> None:
    terminal, file = Terminal(), io.StringIO()
    for to in (terminal, file):
        progress = Progress(to)
        for second in range(1, 21):
            progress(a_run_at(second))
        progress.end()
    assert terminal.getvalue().count("\r") == 21
    assert "\n" not in terminal.getvalue()
    lines = file.getvalue().splitlines()
    assert [line.split(":")[0] for line in lines] == ["10 of 60 s", "20 of 60 s"]
    assert "2 sent, 1 in flight, 1 succeeded, 0 refused, 0 failed; lately first token 250.0 ms (p50)" in lines[0]
    assert "generator late by 4.0 ms (max)" in lines[0]
