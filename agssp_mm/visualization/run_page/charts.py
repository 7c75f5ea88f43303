"""Geometry of the page's charts; the template draws them, in the colours of the page."""
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

WIDTH, HEIGHT = 380, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 40
_PLOT_WIDTH, _PLOT_HEIGHT = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM


def bar_chart(title: str, counts: Sequence[Sequence[int]], shown: int, labels: Sequence[str], x_title: str,
              y_title: str, ident: str) -> dict[str, Any]:
    """Bars of one of several rows of counts, all on one scale, so that a slider can change between them.

    Args:
        title: Above the chart.
        counts: Rows of equal length.
        shown: The row to draw.
        labels: One below each bar; empty ones leave room.
        x_title: Below the axis.
        y_title: Beside the axis.
        ident: Names the chart for scripts.
    """
    top = max(1, max(max(row, default=0) for row in counts))
    ticks = [tick for tick in MaxNLocator(4, integer=True).tick_values(0, top) if tick >= 0]
    width = _PLOT_WIDTH / len(labels)
    bars = [dict(x=_LEFT + place * width + 1, width=width - 2, label=label, middle=_LEFT + (place + 0.5) * width,
                 height=_PLOT_HEIGHT * count / ticks[-1], count=count)
            for place, (label, count) in enumerate(zip(labels, counts[shown], strict=True))]
    return dict(_frame(title, x_title, y_title), kind='bars', ident=ident, bars=bars, top=ticks[-1],
                y_ticks=[(_y(tick, 0, ticks[-1]), _number(tick)) for tick in ticks])


def line_chart(title: str, curves: Mapping[str, Sequence[tuple[float, float]]], x_title: str, y_title: str,
               is_dotted: bool = False) -> dict[str, Any]:
    """Curves on common axes.

    Args:
        title: Above the chart.
        curves: Name -> points (x, y), ascending in x; at most eight curves.
        x_title: Below the axis.
        y_title: Beside the axis.
        is_dotted: Mark every point.
    """
    xs = [x for points in curves.values() for x, _ in points]
    ys = [y for points in curves.values() for _, y in points]
    x_ticks, y_ticks = _ticks(min(xs), max(xs), 5, is_whole=True), _ticks(min(ys), max(ys), 4)
    x_low, x_high = min(min(xs), x_ticks[0]), max(max(xs), x_ticks[-1])
    lines = [dict(name=name, dots=[(_x(x, x_low, x_high), _y(y, y_ticks[0], y_ticks[-1]), f'{name}: {y:.4g} at {x:g}')
                                   for x, y in points], is_dotted=is_dotted or len(points) == 1)
             for name, points in list(curves.items())[:8]]
    return dict(_frame(title, x_title, y_title), kind='lines', lines=lines,
                x_ticks=[(_x(tick, x_low, x_high), _number(tick)) for tick in x_ticks],
                y_ticks=[(_y(tick, y_ticks[0], y_ticks[-1]), _number(tick)) for tick in y_ticks])


def _frame(title: str, x_title: str, y_title: str) -> dict[str, Any]:
    return dict(title=title, x_title=x_title, y_title=y_title, width=WIDTH, height=HEIGHT, left=_LEFT,
                right=WIDTH - _RIGHT, top_edge=_TOP, bottom=HEIGHT - _BOTTOM, plot_height=_PLOT_HEIGHT)


def _ticks(low: float, high: float, number: int, is_whole: bool = False) -> list[float]:
    if low == high:
        low, high = (low - 1, high + 1) if is_whole else (low - abs(low or 1) * 0.1, high + abs(high or 1) * 0.1)
    ticks = np.asarray(MaxNLocator(number, integer=is_whole, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))
    if is_whole:  # do not leave a wide margin on either side
        ticks = ticks[(ticks >= min(low, 0) - 1e-9) & (ticks <= high + 1e-9)]
    return [float(tick) for tick in np.atleast_1d(ticks)] or [low, high]


def _x(value: float, low: float, high: float) -> float:
    return round(_LEFT + _PLOT_WIDTH * (value - low) / ((high - low) or 1), 1)


def _y(value: float, low: float, high: float) -> float:
    return round(HEIGHT - _BOTTOM - _PLOT_HEIGHT * (value - low) / ((high - low) or 1), 1)


def _number(value: float) -> str:
    if value and (abs(value) < 1e-3 or abs(value) >= 1e5):
        return f'{value:.1e}'.replace('e-0', 'e-').replace('e+0', 'e')
    return f'{value:.4g}'
