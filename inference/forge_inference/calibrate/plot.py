"""Confidence against accuracy as an SVG file: small, sharp at every size, without a drawing library in the image."""

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from forge_inference.science.genomics.profiles import Bin, Content, Scores

_SIDE, _LEFT, _TOP, _GAP, _BOTTOM = 300, 60, 70, 60, 60  # pixels
_WIDTH, _HEIGHT = _LEFT + 2 * _SIDE + _GAP + 20, _TOP + _SIDE + _BOTTOM
_BEFORE, _AFTER = "#d55e00", "#0072b2"  # told apart by people who do not see all colours (Okabe and Ito)


def drawn(content: Content, title: str) -> str:
    """Before and after, side by side. The diagonal is where confidence is a chance of being right."""
    measured, temperature = content.measured, content.fit.temperature
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}"'
        ' font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{_LEFT}" y="18" font-size="14">{escape(title)}</text>',
        *_panel("as the model says (T = 1)", measured.before, measured.reliability_before, _LEFT, _BEFORE),
        *_panel(
            f"calibrated (T = {temperature:.2f})",
            measured.after,
            measured.reliability_after,
            _LEFT + _SIDE + _GAP,
            _AFTER,
        ),
    ]
    return "\n".join([*parts, "</svg>\n"])


def _panel(name: str, scores: Scores, bins: Sequence[Bin], left: int, colour: str) -> Iterator[str]:
    bottom = _TOP + _SIDE
    perfect, interval = scores.ece_perfect, scores.ece_perfect_interval
    yield f'<text x="{left}" y="{_TOP - 26}" fill="{colour}">{escape(name)}</text>'
    yield (
        f'<text x="{left}" y="{_TOP - 10}" fill="#555">ECE {scores.ece:.3f}; a perfect model: '
        f"{perfect:.3f} ({interval[0]:.3f}–{interval[1]:.3f})</text>"
    )
    for tick in range(6):
        part = tick / 5
        x, y = left + part * _SIDE, bottom - part * _SIDE
        yield f'<path d="M{left} {y:.0f}h{_SIDE}M{x:.0f} {_TOP}v{_SIDE}" stroke="#eee" fill="none"/>'
        yield f'<text x="{left - 6}" y="{y + 4:.0f}" text-anchor="end">{part:g}</text>'
        yield f'<text x="{x:.0f}" y="{bottom + 16}" text-anchor="middle">{part:g}</text>'
    yield f'<path d="M{left} {bottom}L{left + _SIDE} {_TOP}" stroke="#999" stroke-dasharray="4 4"/>'
    yield f'<text x="{left + _SIDE / 2:.0f}" y="{bottom + 34}" text-anchor="middle" fill="#555">confidence</text>'
    yield (
        f'<text transform="translate({left - 34} {_TOP + _SIDE / 2:.0f}) rotate(-90)" text-anchor="middle" '
        'fill="#555">part that was right</text>'
    )
    for each in bins:
        x, low, high = (left + each.confidence * _SIDE, *(bottom - end * _SIDE for end in each.interval))
        yield f'<path d="M{x:.1f} {low:.1f}V{high:.1f}" stroke="{colour}"/>'
        yield (
            f'<circle cx="{x:.1f}" cy="{bottom - each.accuracy * _SIDE:.1f}" r="4" fill="{colour}">'
            f"<title>{each.count} answers: confidence {each.confidence:.2f}, right {each.accuracy:.0%}</title></circle>"
        )
