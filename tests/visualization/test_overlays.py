"""Pictures are checked by their pixels."""
import cv2
import numpy as np
import pytest

from agssp_mm.visualization.overlays import BOX_COLOURS, compose_panels, draw_boxes, overlay_map


def _grey(height=8, width=12, level=100):
    return np.full((height, width, 3), level, np.uint8)


def test_overlay_mixes_image_and_colour():
    values = np.array([[0.0, 1.0]], np.float32)
    image = _grey(4, 2)
    picture = overlay_map(image, values, alpha=0.25)
    low, high = cv2.applyColorMap(np.array([[0, 255]], np.uint8), cv2.COLORMAP_INFERNO)[0].astype(float)
    assert picture[2, 0].tolist() == np.round(75 + 0.25 * low).tolist()
    assert picture[2, 1].tolist() == np.round(75 + 0.25 * high).tolist()
    assert (image == 100).all()


def test_overlay_gets_brighter_with_the_anomaly():
    picture = overlay_map(_grey(4, 64), np.linspace(0, 1, 64, dtype=np.float32)[None], alpha=1.0)
    lightness = cv2.cvtColor(picture, cv2.COLOR_BGR2LAB)[0, :, 0].astype(int)
    assert (np.diff(lightness) >= -1).all()
    assert lightness[-1] - lightness[0] > 200


@pytest.mark.parametrize('nothing', [np.nan, 255.0, -1.0])
def test_overlay_leaves_out_what_is_no_image(nothing):
    values = np.array([[0.5, nothing]], np.float32)
    picture = overlay_map(_grey(4, 8), values)
    assert (picture[:, 4:] == 100).all()
    assert (picture[:, :4] != 100).any(axis=2).all()


def test_frame_lies_on_the_outermost_pixels_of_a_half_open_box():
    picture = draw_boxes(_grey(), np.array([[2, 1, 6, 5]]), 'true box')
    coloured = (picture == BOX_COLOURS['true box']).all(axis=2)
    expected = np.zeros((8, 12), bool)
    expected[1:5, 2:6] = True
    expected[2:4, 3:5] = False
    assert np.array_equal(coloured, expected)
    assert (picture[~expected] == 100).all()


def test_scale_enlarges_picture_and_boxes():
    picture = draw_boxes(_grey(), np.array([[2, 1, 6, 5]]), 'detection', scale=3)
    assert picture.shape == (24, 36, 3)
    rows, columns = np.nonzero((picture == BOX_COLOURS['detection']).all(axis=2))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (3, 14, 6, 17)
    assert len(rows) == 12 * 12 - 6 * 6  # three pixels wide


def test_texts_stay_inside_the_picture():
    plain = draw_boxes(_grey(60, 80), np.array([[70, 0, 80, 8]]), 'pseudo box')
    picture = draw_boxes(_grey(60, 80), np.array([[70, 0, 80, 8]]), 'pseudo box', ['pit 0.9'])
    changed = np.nonzero((picture != plain).any(axis=2))
    assert len(changed[0]) > 100
    assert changed[1].min() > 5
    dark = (picture.astype(int).sum(axis=2) < 60).sum()
    assert dark > 10


def test_the_kinds_have_distinct_colours():
    colours = np.array(list(BOX_COLOURS.values()), float)
    distances = np.linalg.norm(colours[:, None] - colours[None], axis=2)
    assert distances[~np.eye(len(colours), dtype=bool)].min() > 80


def test_a_box_of_one_pixel_is_drawn():
    picture = draw_boxes(_grey(), np.array([[2, 1, 3, 2]]), 'true box', scale=4)
    assert (picture == BOX_COLOURS['true box']).all(axis=2).sum() == 16


def test_no_boxes_leave_the_image():
    assert np.array_equal(draw_boxes(_grey(), np.zeros((0, 4)), 'detection'), _grey())


def test_panels_show_every_picture_and_the_legend():
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 0, 255)]
    first, second, third, fourth = (np.full((40, 40, 3), colour, np.uint8) for colour in colours)
    picture = compose_panels([[first, second], [third, fourth]], ['image', 'map'], caption='seed 0')
    places = [np.argwhere((picture == colour).all(axis=2)) for colour in colours]
    assert all(len(place) > 200 ** 2 for place in places)
    (a, b, c, d) = (place.mean(axis=0) for place in places)
    assert a[1] < b[1] and c[1] < d[1] and a[0] < c[0] and b[0] < d[0]
    below = picture[int(places[2].max(axis=0)[0]) + 1:]
    for colour in BOX_COLOURS.values():
        assert (np.abs(below.astype(int) - colour).sum(axis=2) < 12).any()


def test_the_legend_names_the_kinds_that_are_shown():
    rows = [[np.zeros((8, 8, 3), np.uint8)]]

    def has(panels, kind):
        return bool((panels == np.array(BOX_COLOURS[kind])).all(2).any())

    panels = compose_panels(rows, ['one'], kinds=['true box'])
    assert has(panels, 'true box') and not has(panels, 'pseudo box') and not has(panels, 'detection')
    assert not any(has(compose_panels(rows, ['one'], kinds=[]), kind) for kind in BOX_COLOURS)
    with pytest.raises(KeyError):
        compose_panels(rows, ['one'], kinds=['guess'])


def test_same_panels_give_the_same_bytes():
    rows = [[_grey(), _grey(level=30)]]
    assert np.array_equal(compose_panels(rows, ['a', 'b']), compose_panels(rows, ['a', 'b']))


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match='got shape'):
        overlay_map(np.zeros((4, 4), np.uint8), np.zeros((2, 2), np.float32))
    with pytest.raises(ValueError, match='two dimensions'):
        overlay_map(_grey(), np.zeros((1, 2, 2), np.float32))
    with pytest.raises(KeyError, match='unknown kind of box'):
        draw_boxes(_grey(), np.zeros((0, 4)), 'wrong')
    with pytest.raises(ValueError, match='1 boxes, but 2 texts'):
        draw_boxes(_grey(), np.zeros((1, 4)), 'detection', ['a', 'b'])
    with pytest.raises(ValueError, match='2 titles need rows'):
        compose_panels([[_grey()]], ['a', 'b'])
