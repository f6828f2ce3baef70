"""Charts of a report as SVG: coloured by the page's style sheet, so that they follow its dark mode."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import ArrayLike, NDArray

from hilmix.names import printable

WIDTH, HEIGHT = 360, 250
"""Of a chart, in the units of its coordinates; about the pixels of a phone."""
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 10, 36
FloatArray = NDArray[np.float64]


class Axes(NamedTuple):
    """The ranges that a chart shows, and what its axes are called."""

    x: tuple[float, float]
    y: tuple[float, float]
    xlabel: str
    ylabel: str
    percent: tuple[bool, bool] = (False, False)
    """Whether the ticks of x and y are shares in per cent."""

    def place_x(self, values: ArrayLike) -> FloatArray:
        """Returns (...) horizontal coordinates."""
        return LEFT + (np.asarray(values, dtype=np.float64) - self.x[0]) / _length(self.x) * (WIDTH - LEFT - RIGHT)

    def place_y(self, values: ArrayLike) -> FloatArray:
        """Returns (...) vertical coordinates, which grow downwards."""
        up = (np.asarray(values, dtype=np.float64) - self.y[0]) / _length(self.y)
        return HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)


def chart(axes: Axes, marks: Sequence[Markup], about: str) -> Markup:
    """Returns an SVG figure.

    Args:
        axes: its ranges.
        marks: what it shows, from the functions below, the hindmost first.
        about: its description for a reader who cannot see it.
    """
    frame = Markup("").join([*_grid(axes), *marks])
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, printable(about), frame
    )


def line(axes: Axes, x: ArrayLike, y: ArrayLike, kind: str) -> Markup:
    """Returns a line through points; it breaks where a value is NaN.

    Args:
        axes: of the chart.
        x: (P,) values.
        y: (P,) values.
        kind: class in the style sheet.
    """
    across, up = axes.place_x(x), axes.place_y(y)
    path, pen = [], "M"
    for px, py in zip(across.tolist(), up.tolist(), strict=True):
        if not np.isfinite(py):
            pen = "M"
            continue
        # A tenth of a unit is less than a pixel; more digits would only make the file larger.
        path.append(f"{pen}{px:.1f} {py:.1f}")
        pen = "L"
    return Markup('<path class="line {}" d="{}"/>').format(kind, "".join(path))


def band(axes: Axes, x: ArrayLike, lower: ArrayLike, upper: ArrayLike, kind: str) -> Markup:
    """Returns the area between two curves, (P,) each, over (P,) places; points with NaN are left out."""
    across, low, high = axes.place_x(x), axes.place_y(lower), axes.place_y(upper)
    known = np.isfinite(low) & np.isfinite(high)
    outline = [*zip(across[known], high[known], strict=True), *zip(across[known][::-1], low[known][::-1], strict=True)]
    points = " ".join(f"{px:.1f},{py:.1f}" for px, py in outline)
    return Markup('<polygon class="band {}" points="{}"/>').format(kind, points)


def intervals(
    axes: Axes, x: ArrayLike, y: ArrayLike, ends: tuple[ArrayLike, ArrayLike], weight: ArrayLike, notes: Sequence[str]
) -> Markup:
    """Returns points with vertical intervals, fainter the smaller their weight.

    Args:
        axes: of the chart.
        x: (P,) values.
        y: (P,) values.
        ends: lower and upper ends of the intervals, (P,) each.
        weight: (P,) in [0, 1].
        notes: (P,) what a pointer that rests on the point shows.
    """
    columns = [axes.place_x(x), axes.place_y(y), axes.place_y(ends[0]), axes.place_y(ends[1]), np.asarray(weight)]
    shape = Markup(
        '<g class="point" opacity="{:.2f}"><title>{}</title><line x1="{x:.1f}" x2="{x:.1f}" y1="{:.1f}" y2="{:.1f}"/>'
        '<circle cx="{x:.1f}" cy="{y:.1f}" r="{:.1f}"/></g>'
    )
    drawn = [
        shape.format(0.3 + 0.7 * w, printable(note), low, high, 2 + 2.5 * w, x=px, y=py)
        for px, py, low, high, w, note in zip(*(column.tolist() for column in columns), notes, strict=True)
    ]
    return Markup("").join(drawn)


def bars(axes: Axes, edges: ArrayLike, height: ArrayLike, kind: str) -> Markup:
    """Returns the bars of a histogram.

    Args:
        axes: of the chart.
        edges: (P + 1,) of the bins.
        height: (P,) values.
        kind: class in the style sheet.
    """
    at, top, floor = axes.place_x(edges), axes.place_y(height), float(axes.place_y(axes.y[0]))
    shape = Markup('<rect class="bar {}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>')
    drawn = [
        shape.format(kind, left, y, max(right - left - 1, 0.5), floor - y)
        for left, right, y in zip(at[:-1].tolist(), at[1:].tolist(), top.tolist(), strict=True)
        if np.isfinite(y)
    ]
    return Markup("").join(drawn)


def heatmap(matrix: NDArray[np.floating], classes: Sequence[str], about: str) -> Markup:
    """Returns a square of cells, the darker the larger their value.

    Args:
        matrix: (K, K) in [0, 1], rows = true class; NaN rows stay blank.
        classes: K names, written where there is room.
        about: its description for a reader who cannot see it.
    """
    # Longer names than two letters would cover one another at the width of a cell; the titles of the cells have them.
    size, margin = len(matrix), 18 if max(map(len, classes)) <= 2 else 4
    cell = (200 - margin) / max(size, 1)
    shape = Markup(
        '<rect x="{:.1f}" y="{:.1f}" width="{c:.1f}" height="{c:.1f}" opacity="{:.2f}"><title>{}</title></rect>'
    )
    rows, columns = np.nonzero(np.nan_to_num(matrix) >= 0.01)  # fainter ones cannot be seen
    cells = [
        shape.format(
            margin + j * cell,
            margin + i * cell,
            matrix[i, j],
            f"{printable(classes[i])} labelled {printable(classes[j])}: {matrix[i, j]:.0%}",
            c=max(cell - 0.6, 0.5),
        )
        for i, j in zip(rows.tolist(), columns.tolist(), strict=True)
    ]
    frame = Markup('<rect class="frame" x="{m}" y="{m}" width="{s}" height="{s}"/>').format(m=margin, s=200 - margin)
    names = [*_names(classes, margin, cell)] if margin > 4 else []
    return Markup('<svg class="heat" viewBox="0 0 200 200" role="img" aria-label="{}">{}</svg>').format(
        printable(about), Markup("").join([frame, *cells, *names])
    )


def _names(classes: Sequence[str], margin: int, cell: float) -> Iterator[Markup]:
    for i, name in enumerate(classes):
        middle = margin + (i + 0.5) * cell
        yield Markup('<text x="{:.1f}" y="12" text-anchor="middle">{}</text>').format(middle, printable(name))
        yield Markup('<text x="12" y="{:.1f}" text-anchor="end">{}</text>').format(middle + 3.5, printable(name))


def ticks(low: float, high: float, number: int = 5) -> list[float]:
    """Returns round values in a range, at most ``number`` + 1 of them.

    Example:
        >>> ticks(0, 1), ticks(0.13, 0.78, 3)
        ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.2, 0.4, 0.6])
    """
    rough = max(high - low, 1e-12) / number
    power = 10.0 ** np.floor(np.log10(rough))
    # 1e-9, as a quotient of floats may lie a little above a round number: the step would double, or a tick be lost.
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9))
    return [float(f"{i * step:.10g}") for i in range(first, last + 1)]


def _grid(axes: Axes) -> Iterator[Markup]:
    floor, end = HEIGHT - BOTTOM, WIDTH - RIGHT
    for value in ticks(*axes.y):
        y = float(axes.place_y(value))
        yield Markup('<line class="grid" x1="{}" x2="{}" y1="{y:.1f}" y2="{y:.1f}"/>').format(LEFT, end, y=y)
        text = _tick(value, axes.percent[1])
        yield Markup('<text x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(LEFT - 5, y + 3.5, text)
    for value in ticks(*axes.x):
        x, text = float(axes.place_x(value)), _tick(value, axes.percent[0])
        yield Markup('<text x="{:.1f}" y="{}" text-anchor="{}">{}</text>').format(
            x, floor + 14, "end" if x > end - 6 else "middle", text
        )
    yield Markup('<line class="axis" x1="{}" x2="{}" y1="{y}" y2="{y}"/>').format(LEFT, end, y=floor)
    middle = (LEFT + end) / 2
    yield Markup('<text class="name" x="{}" y="{}" text-anchor="middle">{}</text>').format(
        middle, HEIGHT - 5, escape(axes.xlabel)
    )
    yield Markup('<text class="name" transform="translate(12 {}) rotate(-90)" text-anchor="middle">{}</text>').format(
        (TOP + floor) / 2, escape(axes.ylabel)
    )


def _tick(value: float, percent: bool) -> str:
    return f"{100 * value:.4g} %" if percent else f"{value:.4g}"


def _length(ends: tuple[float, float]) -> float:
    # A range of one value is drawn at its lower end.
    return (ends[1] - ends[0]) or 1.0
