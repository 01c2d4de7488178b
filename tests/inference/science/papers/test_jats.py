"""JATS as plain text with headings."""

import time

import pytest

from forge_inference.science.papers.jats import text_of
from forge_inference.science.papers.paper import Paper
from forge_inference.science.papers.results import results
from forge_inference.science.papers.source import Unreadable
from forge_inference.science.papers.statistics import recomputed

_PAPER = """<?xml version="1.0"?>
<!DOCTYPE article PUBLIC "-//NLM//DTD JATS (Z39.96) Journal Archiving DTD v1.2//EN" "JATS-archivearticle1.dtd">
<article xmlns:xlink="http://www.w3.org/1999/xlink"><front>
<journal-meta><journal-title>J Test</journal-title></journal-meta>
<article-meta><title-group><article-title>Iron &amp; mice</article-title></title-group>
<contrib-group><contrib><name><surname>Nobody</surname></name></contrib></contrib-group>
<abstract><p>Iron rose.</p></abstract></article-meta></front>
<body><sec sec-type="methods"><title>Methods</title>
<p>We counted 10<sup>5</sup> cells<xref ref-type="bibr" rid="r1"><sup>1</sup></xref> in CO<sub>2</sub> with
Ca<sup>2+</sup>, 10<sup>−5</sup> M of it and <italic>T</italic><sub>max</sub>.</p></sec>
<sec><title>Results</title><p>It rose, <italic>t</italic>(28) = 2.20, <italic>p</italic> = .036
(<xref ref-type="bibr" rid="r2">2</xref>).</p>
<table-wrap><label>Table 1</label><table><thead><tr><th>Model</th><th>SQuAD F1</th></tr></thead>
<tbody><tr><td>A</td><td>80.1</td></tr></tbody></table></table-wrap></sec></body>
<back><ref-list><title>References</title><ref><mixed-citation>Somebody 2001</mixed-citation></ref></ref-list></back>
</article>"""


def test_a_superscript_keeps_its_meaning() -> None:
    text = text_of(_PAPER)
    assert "We counted 10⁵ cells[1] in CO₂ with Ca²⁺, 10⁻⁵ M of it and T_(max)." in text


def test_sections_tables_and_statistics_are_found_in_it_and_references_are_left_out() -> None:
    paper = Paper(text_of(_PAPER))
    assert [section.kind for section in paper.sections] == ["body", "abstract", "methods", "results"]
    assert [str(row.value) for row in results(paper)[0]] == ["80.1"]
    assert [each.decision for each in recomputed(paper.folded)] == ["consistent"]
    assert "Somebody" not in paper.text
    assert "Nobody" not in paper.text


@pytest.mark.parametrize(
    ("xml", "why"),
    [
        ("<article>", "no XML"),
        ("", "no XML"),
        ("<html></html>", "its root is 'html'"),
        ('<!DOCTYPE article [<!ENTITY a "b">]><article>&a;</article>', "declares the entity 'a'"),
        ('<!DOCTYPE article [<!ENTITY % a SYSTEM "http://x/">%a;]><article/>', "declares the entity 'a'"),
        ("<article>" + "<sec>" * 200, "more than 100 deep"),
        ("<article>" + "x" * 1_000_001 + "</article>", "more than 1000000 characters"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(xml: str, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        text_of(xml)


def test_a_document_type_elsewhere_is_not_fetched() -> None:
    before = time.monotonic()
    xml = '<!DOCTYPE article SYSTEM "http://127.0.0.1:9/never.dtd"><article><body><p>Here.</p></body></article>'
    assert text_of(xml) == "Here.\n"
    assert time.monotonic() - before < 10
