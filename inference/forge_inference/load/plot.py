"""Lines over time as an SVG file: small, sharp at every size, and without a drawing library in the image."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from forge_inference.load.figures import Figures

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _GAP = 900, 150, 60, 20, 40, 50  # pixels; height of one panel
# Told apart by people who do not see all colours (Okabe and Ito's set).
_COLOURS = ("#0072b2", "#009e73", "#e69f00", "#d55e00", "#cc79a7")


@dataclass(frozen=True)
class Line:
    """A value for each second; None where there is none, which leaves a gap."""

    name: str
    values: Sequence[float | None]


@dataclass(frozen=True)
class Panel:
    """Lines that share an axis."""

    unit: str
    lines: Sequence[Line]


def drawn(figures: Figures, title: str) -> str:
    """The plot of a run, which says so when it is not to be trusted."""
    row = figures.seconds_in_a_row
    return svg(
        f"{title}{' - NOT TO BE TRUSTED: the generator was late' if figures.generator.doubts else ''}",
        [
            Panel(
                "requests/s",
                [
                    Line("offered", [second.offered for second in row]),
                    Line("succeeded", [second.succeeded for second in row]),
                    Line("refused", [second.refused for second in row]),
                    Line("failed", [second.failed for second in row]),
                ],
            ),
            Panel("in flight", [Line("requests in flight", [second.in_flight for second in row])]),
            Panel("tokens/s", [Line("new tokens/s", [second.tokens for second in row])]),
            Panel(
                "s, by arrival",
                [
                    Line("first token p50", [second.ttft_p50 for second in row]),
                    Line("first token p95", [second.ttft_p95 for second in row]),
                    Line("whole answer p95", [second.e2e_p95 for second in row]),
                    Line("generator late, max", [second.late for second in row]),
                ],
            ),
        ],
    )


def svg(title: str, panels: Sequence[Panel]) -> str:
    """Panels above one another over the same seconds."""
    seconds = max((len(line.values) for panel in panels for line in panel.lines), default=1)
    height = _TOP + len(panels) * (_HEIGHT + _GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
        ' font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{_LEFT}" y="18" font-size="14">{escape(title)}</text>',
    ]
    for number, panel in enumerate(panels):
        parts += _panel(panel, _TOP + number * (_HEIGHT + _GAP), max(1, seconds))
    return "\n".join([*parts, "</svg>\n"])


def _panel(panel: Panel, top: int, seconds: int) -> Iterator[str]:
    bottom, width = top + _HEIGHT, _WIDTH - _LEFT - _RIGHT
    most = max((value for line in panel.lines for value in line.values if value is not None), default=0.0)
    step = _step(most)
    high = step * max(1, math.ceil(most / step - 1e-9))
    for tick in range(round(high / step) + 1):
        y = bottom - tick * step / high * _HEIGHT
        yield f'<path d="M{_LEFT} {y:.1f}h{width}" stroke="#ddd"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick * step:g}</text>'
    every = max(1, round(_step(seconds)))
    for second in range(0, seconds + 1, every):
        x = _LEFT + second / seconds * width
        yield f'<text x="{x:.1f}" y="{bottom + 15}" text-anchor="middle">{second} s</text>'
    x = _LEFT + 4.0
    yield f'<text x="{x:.0f}" y="{top - 5}" fill="#555">{escape(panel.unit)}</text>'
    x += 100
    for line, colour in zip(panel.lines, _COLOURS, strict=False):
        yield f'<text x="{x:.0f}" y="{top - 5}" fill="{colour}">{escape(line.name)}</text>'
        x += 20 + 7 * len(line.name)
        if path := _path(line.values, width / seconds, bottom, _HEIGHT / high):
            yield f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.5" stroke-linecap="round"/>'


def _path(values: Sequence[float | None], across: float, bottom: int, up: float) -> str:
    """A value stands in the middle of its second; one between two gaps is a dot."""
    words, after = [], "M"
    for second, value in enumerate(values):
        if value is None:
            after = "M"
            continue
        words.append(
            f"{after}{_LEFT + (second + 0.5) * across:.1f} {bottom - value * up:.1f}{'h0' if after == 'M' else ''}"
        )
        after = "L"
    return "".join(words)


def _step(most: float) -> float:
    """A round number of which at most five or so are in it."""
    if most <= 0:
        return 1.0
    least = most / 5
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))
