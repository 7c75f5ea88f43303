"""Where bars and curves come to lie."""
import pytest

from agssp_mm.visualization.run_page.charts import bar_chart, line_chart


def test_bars_share_one_scale():
    chart = bar_chart('t', [[4, 0], [1, 8]], 0, ['a', 'b'], 'x', 'y', 'id')
    assert chart['top'] == 8
    assert [bar['count'] for bar in chart['bars']] == [4, 0]
    assert chart['bars'][0]['height'] == pytest.approx(chart['plot_height'] / 2)


def test_curves_stay_inside_the_plot():
    chart = line_chart('t', dict(a=[(1, 0.0), (10, 3.0)], b=[(5, -1.0)]), 'x', 'y')
    dots = [dot for line in chart['lines'] for dot in line['dots']]
    assert all(chart['left'] <= x <= chart['right'] and chart['top_edge'] <= y <= chart['bottom'] for x, y, _ in dots)
    assert dots[0][1] > dots[1][1]  # up is more
    assert [line['is_dotted'] for line in chart['lines']] == [False, True]


@pytest.mark.parametrize('points', [[(1, 0.5)], [(3, 0.0), (4, 0.0)], [(1, 1e-9), (2, 1e9)]])
def test_odd_curves_have_axes(points):
    chart = line_chart('t', dict(a=points), 'x', 'y')
    assert len(chart['x_ticks']) >= 1 and len(chart['y_ticks']) >= 2
