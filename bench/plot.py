"""Drawings of curves as SVG, without any library: both axes logarithmic, or panels over one time with axes from 0."""

from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

__all__ = ["Curve", "Panel", "drawn", "panels"]

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 130, 40, 50
COLOURS = ("#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad", "#b8860b", "#555555")


@dataclass(frozen=True)
class Curve:
    """Points that belong together; every value is above 0."""

    name: str
    x: list[float]
    y: list[float]


@dataclass(frozen=True)
class Panel:
    """Curves that share an axis upwards, from 0 to a little above the highest."""

    name: str
    curves: list[Curve]


def panels(title: str, across: str, shown: list[Panel]) -> str:
    """The panels one above another, over the same axis from 0. `ValueError` where there is no point."""
    xs = [value for panel in shown for curve in panel.curves for value in curve.x]
    if not xs:
        raise ValueError("there is nothing to draw")
    each, right, bottom = 110, WIDTH - RIGHT, TOP + 110 * len(shown) + 20 * (len(shown) - 1)
    step, x_to = _ticks(max(xs))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + BOTTOM}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{bottom + BOTTOM}" fill="white"/>',
        f'<text x="{LEFT}" y="22" font-size="14">{escape(title)}</text>',
        f'<text x="{(LEFT + right) / 2}" y="{bottom + 34}" text-anchor="middle">{escape(across)}</text>',
    ]
    for number, panel in enumerate(shown):
        top = TOP + number * (each + 20)
        rise, y_to = _ticks(max(value for curve in panel.curves for value in curve.y) or 1.0)
        for at in range(round(x_to / step) + 1):
            x = LEFT + at * step / x_to * (right - LEFT)
            parts.append(f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{top + each}" stroke="#ddd"/>')
            if number == len(shown) - 1:
                parts.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{at * step:g}</text>')
        for at in range(round(y_to / rise) + 1):
            y = top + each - at * rise / y_to * each
            parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#ddd"/>')
            parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{at * rise:g}</text>')
        parts.append(f'<text x="{right + 12}" y="{top + 10}" font-weight="bold">{escape(panel.name)}</text>')
        for place, curve in enumerate(panel.curves):
            colour = COLOURS[place % len(COLOURS)]
            line = " ".join(
                f"{LEFT + x / x_to * (right - LEFT):.1f},{top + each - y / y_to * each:.1f}"
                for x, y in zip(curve.x, curve.y, strict=True)
            )
            parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
            at_y = top + 26 + 16 * place
            parts.append(f'<rect x="{right + 12}" y="{at_y - 9}" width="10" height="10" fill="{colour}"/>')
            parts.append(f'<text x="{right + 28}" y="{at_y}">{escape(curve.name)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _ticks(highest: float) -> tuple[float, float]:
    """A round step, four to nine of which reach above `highest`, and where they end."""
    decade = 10.0 ** floor(log10(highest))
    step = next(one * decade / 10 for one in (2, 5, 10, 20) if highest <= 9 * one * decade / 10)
    return step, step * ceil(highest / step)


def drawn(title: str, across: str, up: str, curves: list[Curve]) -> str:
    """The curves as a drawing. `ValueError` where there is no point."""
    xs = [value for curve in curves for value in curve.x]
    ys = [value for curve in curves for value in curve.y]
    if not xs:
        raise ValueError("there is nothing to draw")
    x_from, x_to = _decades(xs)
    y_from, y_to = _decades(ys)

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            LEFT + (log10(x) - x_from) / (x_to - x_from) * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - (log10(y) - y_from) / (y_to - y_from) * (HEIGHT - TOP - BOTTOM),
        )

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="22" font-size="14">{escape(title)}</text>',
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle">{escape(across)}</text>',
        f'<text x="16" y="{TOP - 8}">{escape(up)}</text>',
    ]
    for decade in range(x_from, x_to + 1):
        x, bottom = place(10**decade, 10**y_from)
        parts.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16:.1f}" text-anchor="middle">{10**decade:,}</text>')
    for decade in range(y_from, y_to + 1):
        left, y = place(10**x_from, 10**decade)
        parts.append(f'<line x1="{left:.1f}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 6:.1f}" y="{y + 4:.1f}" text-anchor="end">{10.0**decade:g}</text>')
    for number, curve in enumerate(curves):
        colour = COLOURS[number % len(COLOURS)]
        points = [place(x, y) for x, y in zip(curve.x, curve.y, strict=True)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        at = TOP + 14 + 18 * number
        parts.append(f'<rect x="{WIDTH - RIGHT + 12}" y="{at - 9}" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 28}" y="{at}">{escape(curve.name)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _decades(values: list[float]) -> tuple[int, int]:
    """The powers of ten around the values."""
    low, high = floor(log10(min(values))), ceil(log10(max(values)))
    return low, max(high, low + 1)
