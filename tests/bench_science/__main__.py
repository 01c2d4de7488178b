"""`make bench-science`: measures the rules on the corpus and writes the figures into docs/benchmarks.md."""

import warnings
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.section import write_section
from tests.bench_science.report import section

BEGIN, END = "<!-- science: written by `make bench-science` -->", "<!-- science: end -->"
PAGE = Path(__file__).parent.parent.parent / "docs" / "benchmarks.md"


def main() -> None:
    with warnings.catch_warnings():  # pysbd's source has escapes that Python warns of
        warnings.simplefilter("ignore")
        text = section(datetime.now(UTC).date())
    write_section(text, PAGE, BEGIN, END)
    print(text)


if __name__ == "__main__":
    main()
