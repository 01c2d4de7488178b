"""LaTeX as plain text with headings and tables, every character with its place in the LaTeX."""

import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_inference.science.papers.latex.paper import read
from forge_inference.science.papers.paper import Paper
from forge_inference.science.papers.results import results
from forge_inference.science.papers.source import Unreadable
from forge_inference.science.papers.statistics import recomputed
from forge_inference.science.text.cleaning import clean
from forge_inference.science.text.document import Span
from forge_inference.science.text.traced import Traced

_PAPER = r"""\documentclass{article} % \section{Not this}
\newcommand{\gene}{TNF-$\alpha$\xspace}
\newcommand{\new}[1]{{\color{red} #1}}
\title{Iron \& mice}
\author{Nobody}
\begin{document}
\maketitle
\begin{abstract}
Iron rose. % and not this
\end{abstract}
\section{Methods}\label{sec:methods}
We counted $10^{5}$ cells~\cite{a,b} in CO$_2$ with Ca$^{2+}$, % a note
$10^{-5}$\,M of \gene{} at 37\,$^\circ$C.
\section*{Results}
It \new{rose}, $t(28) = 2.20$, $p = .036$ \citep[see][]{b}.
\begin{table}
\caption{Question answering on SQuAD}
\begin{tabular}{lcc} \toprule
Model & F1 & EM \\ \midrule
\textbf{A (ours)} & 80.1 & 70.2 \\
B & $79.9$ & \multicolumn{1}{c}{69} \\ \bottomrule
\end{tabular}
\end{table}
\begin{tikzpicture} \draw (0,0) -- (1,1); \end{tikzpicture}
\begin{thebibliography}{9} \bibitem{a} Somebody 2001 \end{thebibliography}
\end{document}
Nor this."""


def _text(latex: str) -> str:
    read_ = read(latex).text
    assert isinstance(read_, Traced)
    return " ".join(read_.text.split())


def test_sections_tables_and_statistics_are_found_in_it_and_quoted_as_they_were_sent() -> None:
    paper = Paper(read(_PAPER).text)
    assert [section.kind for section in paper.sections] == ["body", "abstract", "methods", "results"]
    assert [(row.system, row.metric, str(row.value), row.ours) for row in results(paper)[0]] == [
        ("A", "f1", "80.1", True),
        ("A", "exact_match", "70.2", True),
        ("B", "f1", "79.9", False),
        ("B", "exact_match", "69", False),
    ]
    [statistic] = recomputed(paper.folded)
    assert statistic.decision == "consistent"
    assert paper.quoted(statistic.span).quote == "t(28) = 2.20$, $p = .036"
    quotes = [paper.quoted(sentence.span) for sentence in paper.sentences]
    assert all(_PAPER[each.start : each.end] == each.quote for each in quotes)
    assert "It \\new{rose}, $t(28) = 2.20$, $p = .036$ \\citep[see][]{b}." in [each.quote for each in quotes]


def test_what_is_no_text_is_not_said() -> None:
    said = _text(_PAPER)
    assert said.startswith(
        "Iron & mice # Abstract Iron rose. # Methods We counted 10⁵ cells [1,2] in CO₂ with Ca²⁺, 10⁻⁵ M"
    )
    assert not [
        each for each in ("Nobody", "not this", "Not this", "a note", "draw", "Somebody", "Nor this") if each in said
    ]


@pytest.mark.parametrize(
    ("latex", "said"),
    [
        ("$10^{5}$ and $10^5$ and 10\\textsuperscript{5}", "10⁵ and 10⁵ and 10⁵"),
        ("$3 \\times 10^{-12}$\\,mol", "3 × 10⁻¹² mol"),
        ("$x^{ab}$, $\\chi^2_{1}$", "x^(ab), χ²₁"),
        ("10\\,000 and 10{,}000 and 5\\,mg", "10,000 and 10,000 and 5 mg"),
        ("\\SI{5}{\\micro\\gram} and \\SI{37}{\\celsius}", "5 µg and 37 °C"),
        ("$\\frac{1}{2}$, $\\frac{a+b}{c}$", "1/2, (a+b)/(c)"),
        ("na\\\"ive caf\\'e \\c{c} \\v{S}im\\'{\\i}k \\o re \\ss", "naïve café ç Šimík øre ß"),
        ("``It'' is 5--10\\,\\% --- done", "“It” is 5–10 % — done"),
        ("see Table~\\ref{tab:main} and \\url{https://a.b/c_d}", "see Table [tab:main] and https://a.b/c_d"),
        ("\\emph{one} {\\bf two} \\unknown{three} \\foo[opt]{four}", "one two three four"),
        ("a%\n  b and c % d\n\n% e\nf", "ab and c f"),
        ("\\iffalse hidden \\fi shown\\footnote{a note}", "shown (a note)"),
        ("\\verb|x_1 % y| and \\href{https://a.b}{there}", "x_1 % y and https://a.b there"),
        ("\\def\\x#1#2{#2 #1}\\x{one}{two}", "two one"),
        ("\\newcommand{\\y}[2][zero]{#1 #2}\\y{one}", "zero one"),
        ("\\DeclareMathOperator{\\KL}{KL}$\\KL(p)$", "KL(p)"),
        ("$p \\leq 0.05$ \\& $n\\approx 3$", "p ≤ 0.05 & n≈ 3"),
    ],
)
def test_commands_say_what_they_stand_for(latex: str, said: str) -> None:
    assert _text(latex) == said


def test_other_files_and_programs_are_told_and_left_alone() -> None:
    source = read("Here.\n\\input{/etc/passwd} \\include other \\immediate\\write18{rm -rf /} \\directlua{os.exit()}")
    assert [(each.why, each.said) for each in source.left_out] == [
        ("other_file", "\\input{/etc/passwd}"),
        ("other_file", "\\include other"),
        ("not_run", "\\write18{rm -rf /}"),
        ("not_run", "\\directlua{os.exit()}"),
    ]
    assert isinstance(source.text, Traced)
    assert source.text.text.strip() == "Here."


def test_a_table_within_a_cell_divides_no_row() -> None:
    inner = r"\begin{tabular}{l}b \\ c\end{tabular}"
    latex = rf"\begin{{tabular}}{{ll}}a & {inner} \\ \makecell{{d\\e}} & f|g \\ & h\end{{tabular}}"
    source = read(latex).text
    assert isinstance(source, Traced)
    assert [" ".join(line.split()) for line in source.text.split("\n") if line.strip()] == [
        "| a | b c |",
        "| d e | f∣g |",
        "| | h |",
    ]


_BOMBS = {
    "itself": "\\def\\x{\\x\\x}\\x",
    "doubling": "".join(f"\\def\\{chr(97 + i)}{{\\{chr(98 + i)}\\{chr(98 + i)}}}" for i in range(24)) + "\\a",
    "long": "\\def\\x{" + "a" * 10_000 + "}" + "\\x " * 10_000,
    "growing": "\\newcommand{\\x}[1]{#1#1#1#1#1#1#1#1#1}" + "\\x{" * 30 + "a" + "}" * 30,
    "deep": "\\footnote{" * 500 + "a" + "}" * 500,
}


@pytest.mark.parametrize("name", _BOMBS)
def test_macros_without_an_end_are_refused_soon(name: str) -> None:
    start = time.process_time()
    with pytest.raises(Unreadable, match=r"macros|deep"):
        read(_BOMBS[name])
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    "unit",
    ["{", "}", "\\", "\\x", "^", "^{", "\\begin{comment}", "\\iffalse", "\\section{", "\\cite[", "$", "%\n", "\\verb|"],
)
def test_a_hostile_text_is_read_or_refused_soon(unit: str) -> None:
    start = time.process_time()
    with suppress(Unreadable):
        read("a " + unit * (1_000_000 // len(unit)))
    assert time.process_time() - start < 15


def test_without_text_it_is_refused() -> None:
    with pytest.raises(Unreadable, match="no text"):
        read("\\documentclass{article}\\newcommand{\\a}{b}")


_PIECES = [
    *(
        "\\section{",
        "}",
        "{",
        "$10^{5}$",
        "\\cite{a}",
        "% c\n",
        "\n\n",
        "\\\\",
        "&",
        "\\begin{tabular}{l}",
        "\\end{tabular}",
    ),
    *(
        "\\def\\z#1{a#1b}",
        "\\z{c}",
        "\\z",
        "\\frac{a}{b+c}",
        "\\'e",
        "\\alpha ",
        "\\begin{document}",
        "\\end{document}",
    ),
    *(
        "\\footnote{",
        "\\caption{x}",
        "\\item[y]",
        "^",
        "_{i}",
        "\\multicolumn{2}{c}{d}",
        "~",
        "--",
        "\\,",
        "\ud83e",
        "é",
        "ﬁ",
    ),
]


@settings(deadline=None)  # a busy machine is no fault
@given(st.lists(st.one_of(st.text(max_size=6), st.sampled_from(_PIECES)), max_size=25).map("".join), st.data())
def test_every_span_of_the_text_is_one_of_the_latex(latex: str, data: st.DataObject) -> None:
    try:
        document = clean(read(latex).text)
    except Unreadable:
        return
    assert document.sent == latex
    start = data.draw(st.integers(0, len(document.clean)))
    end = data.draw(st.integers(start, len(document.clean)))
    located = document.located(Span(start, end))
    assert 0 <= located.start <= located.end <= len(latex)
    assert (located.start < located.end) == (start < end)
