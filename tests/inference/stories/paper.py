"""Papers that the stories are about: forty pages of JATS, and a study of mice that says what was not done."""

from tests.science.papers.corpus import FOLDER

PAGE = 2500  # characters
MOUSE = (FOLDER / "mouse-colitis.txt").read_text()
_RANDOMISED = "Within each genotype, mice were randomly assigned to DSS or water using a computer-generated list."


def jats(pages: int) -> str:
    """Mostly methods, as where a protocol is printed with its paper; the results take more than one prompt."""
    weighed = "Mouse {0} was weighed at 9 o'clock on day {1}, and its stool was frozen at −80 °C within 5 min of it."
    found = "Mouse {0} lost {1}.4% of its weight, and its colon was {1} mm shorter than that of its littermate."
    methods = _paragraphs(weighed, (pages - 4) * PAGE)
    results = _paragraphs(found, 3 * PAGE)
    return f"""<article><front><article-meta><title-group>
<article-title>IL-11 and the 𝛼-chain</article-title></title-group>
<abstract><p>Mice without the receptor lost less weight.</p></abstract></article-meta></front><body>
<sec sec-type="intro"><title>Introduction</title><p>Whether IL-11 helps the gut is not settled.</p></sec>
<sec sec-type="methods"><title>Methods</title>{methods}</sec>
<sec sec-type="results"><title>Results</title>
<p>Weight loss differed, <italic>t</italic>(28) = 2.20, <italic>p</italic> = .036.</p>{results}</sec>
<sec sec-type="discussion"><title>Discussion</title><p>The receptor in the epithelium aggravates colitis.</p>
<p>Our study has several limitations. First, DSS colitis is an acute injury. Second, we studied one strain of mice.</p>
</sec></body></article>"""


def _paragraphs(sentence: str, characters: int) -> str:
    """As many paragraphs of ten such sentences as make so many characters."""
    count = characters // (10 * len(sentence)) + 1
    said = [[sentence.format(10 * n + k, (n + k) % 9 + 1) for k in range(10)] for n in range(count)]
    return "".join(f"<p>{' '.join(each)}</p>" for each in said)


def mice() -> str:
    """It says that nobody randomised, and one of its p-values does not follow from its statistic."""
    text = MOUSE.replace(_RANDOMISED, "Animals were not randomised.").replace("= 2.20, p = .036", "= 2.20, p = .36")
    assert text.count("not randomised") == text.count("p = .36") == 1
    return text
