"""Long steps say how fast they are and how long they will take, to people only."""
import io
import re
import sys

import pytest

from agssp_mm.images import list_images
from agssp_mm.maps.box_cache import load_or_make_boxes
from agssp_mm.maps.component_tree_boxes import ComponentTreeBoxRule
from agssp_mm.maps.generate import generate_maps
from agssp_mm.maps.store import MapStore
from agssp_mm.visualization.run_page import write_run_page


class Terminal(io.StringIO):
    """What a person would look at, or a pipe."""

    def __init__(self, is_terminal):
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self):
        return self.is_terminal


def everything(image_folder, teacher, folder):
    """Every long step up to the page."""
    generate_maps(list_images(image_folder), teacher, folder / 'store')
    load_or_make_boxes(MapStore.open(folder / 'store'), ComponentTreeBoxRule())
    write_run_page(folder / 'store')


@pytest.mark.parametrize('is_terminal', [True, False])
def test_progress(image_folder, toy_teacher, tmp_path, monkeypatch, is_terminal):
    screen = Terminal(is_terminal)
    monkeypatch.setattr(sys, 'stderr', screen)
    everything(image_folder, toy_teacher, tmp_path)
    if not is_terminal:
        assert screen.getvalue() == ''
        return
    for step in ('reading the list', 'fitting the teacher', 'calibrating', 'anomaly maps', 'statistics', 'pseudo boxes',
                 'boxes per threshold', 'pictures'):
        # "anomaly maps: 100%|███| 12/12 [00:00<00:00, 93.1image/s]": done, elapsed, left, rate
        assert re.search(rf'{step}: +\d+%.*\d+/\d+ \[\d\d:\d\d<[\d:?]+, [ ?\d.]+(\w+/s|s/\w+)', screen.getvalue()), step
