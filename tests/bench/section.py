"""One section of docs/benchmarks.md, between its marks."""

from pathlib import Path


def write_section(text: str, path: Path, begin: str, end: str) -> None:
    """Replace the section between the marks; the rest of the page is somebody else's.

    Raises
    ------
    ValueError
        The page has lost the marks.
    """
    page = path.read_text()
    if page.count(begin) != 1 or page.count(end) != 1:
        raise ValueError(f"{path}: the lines {begin!r} and {end!r} must each stand there once")
    before, _, rest = page.partition(begin)
    path.write_text(f"{before}{begin}\n{text}\n{end}{rest.partition(end)[2]}")
