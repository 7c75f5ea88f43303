#!/usr/bin/env python3
"""The pictures of docs/concepts.md and README, from what `make demo` left: tools/draw_concepts.py [--out FOLDER].

Nothing is trained or chosen by hand: the images are those unlabelled ones whose map stands out most, one of every
kind of defect, and the boxes, activation maps and detections are those of the demo's own checkpoints.
"""
import argparse
import base64
import os
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.logging import MMLogger

from agssp_mm.cli import run_command
from agssp_mm.engine.launch import load_config
from agssp_mm.engine.detecting import detect_boxes
from agssp_mm.engine.relabel import build_trained
from agssp_mm.files import write_atomically
from agssp_mm.images import ImageList, list_images
from agssp_mm.maps.box_quality import read_true_boxes
from agssp_mm.maps.records import MapRecord
from agssp_mm.maps.store import MapStore
from agssp_mm.visualization.overlays import compose_panels, draw_boxes, overlay_map
from agssp_mm.visualization.run_page.activations import draw_activations
from agssp_mm.visualization.run_page.thresholds import box_at, threshold_values

SUMMARY = 'draw the pictures of the documentation from a finished demo'
CONFIGS = Path(__file__).resolve().parents[1] / 'configs' / 'demo'
WIDTH, QUALITY = 960, 82  # pixels; of WebP
#: Places in the row of thresholds that the run page offers: an eighth, the configured one, eight times.
STEPS = {0: 'threshold x 1/8', 6: 'as configured', 12: 'threshold x 8'}
SCORE = 0.3


class Concepts:
    """What the pictures are made from.

    Args:
        demo: Work folder of the demo.
        number: Images in each picture.

    Raises:
        FileNotFoundError: If the demo has not got so far.
    """

    def __init__(self, demo: Path, number: int) -> None:
        needed = (demo / 'maps' / 'maps.json', demo / 'agbp' / 'backbone.pth', demo / 'agdp' / 'detector.pth',
                  demo / 'data' / 'annotations' / 'train.json')
        missing = [str(path) for path in needed if not path.is_file()]
        if missing:
            raise FileNotFoundError(f'{", ".join(missing)} is not there; run make demo first, or name its folder')
        self.demo, self.root, self.store = demo, demo / 'data' / 'images', MapStore.open(demo / 'maps')
        self.truth = read_true_boxes(demo / 'data' / 'annotations' / 'train.json')
        self.records = self._choose(number)
        self.names = [record.name for record in self.records]
        self.pixels = {name: cv2.imread(str(self.root / name)) for name in self.names}

    def _choose(self, number: int) -> list[MapRecord]:
        """The images of the highest scores, one of every kind of defect."""
        chosen: dict[str, MapRecord] = {}
        for record in sorted(self.store.index, key=lambda record: -record.score):
            kinds = set(self.truth[record.name].categories)
            if len(kinds) == 1:
                chosen.setdefault(kinds.pop(), record)
        return list(chosen.values())[:number]

    def maps(self) -> np.ndarray:
        """Image, anomaly map, true boxes."""
        return compose_panels([[self.pixels[name], self._map(name), self._boxes(name, 'true box')]
                               for name in self.names], ('image', 'anomaly map', 'true boxes'), kinds=['true box'])

    def thresholds(self) -> np.ndarray:
        """The pseudo boxes of the same maps at three thresholds."""
        rule = load_config(CONFIGS / 'demo_agdp.py').train_dataloader.dataset.rule
        name, values = threshold_values(rule)
        maps = {one: self.store.read(one) for one in self.names}
        steps = [box_at(self.store, rule, self.records, name, values[place], maps).boxes for place in STEPS]
        rows = [[self._map(one), *(draw_boxes(self.pixels[one], step[one].boxes, 'pseudo box', scale=2)
                                   for step in steps)] for one in self.names]
        return compose_panels(rows, ('anomaly map', *STEPS.values()), kinds=['pseudo box'])

    def distillation(self) -> np.ndarray:
        """Activation maps of the deepest distilled level before and after AGBP."""
        rows, _ = draw_activations(load_config(CONFIGS / 'demo_agbp.py'), self.demo / 'agbp' / 'backbone.pth',
                                   self.store, self.root, self.records)
        panels = [[*row.panels[:2], *row.panels[-2:]] for row in rows]
        titles = [panel['title'] for panel in panels[0]]
        return compose_panels([[_read(panel) for panel in row] for row in panels], titles, kinds=[])

    def detections(self) -> np.ndarray:
        """Pseudo boxes, and what the detector that learned from all of them finds."""
        config = CONFIGS / 'demo_agdp.py'
        rule = load_config(config).train_dataloader.dataset.rule
        name, values = threshold_values(rule)
        maps = {one: self.store.read(one) for one in self.names}
        boxes = box_at(self.store, rule, self.records, name, values[len(values) // 2], maps).boxes
        model = build_trained(load_config(config), str(self.demo / 'agdp' / 'detector.pth'), 'cpu')
        listed = list_images(self.demo / 'data' / 'annotations' / 'train_unlabelled.json', self.root)
        wanted = ImageList(listed.root, tuple(entry for entry in listed if entry.name in self.pixels))
        found = detect_boxes(model, wanted, max(self.pixels[self.names[0]].shape), 1)
        rows = []
        for one in self.names:
            kept = found[one].scores >= SCORE
            texts = [f'anomaly {score:.2f}' for score in found[one].scores[kept]]
            rows.append([draw_boxes(self.pixels[one], boxes[one].boxes, 'pseudo box', scale=2),
                         draw_boxes(self.pixels[one], found[one].boxes[kept], 'detection', texts, scale=2),
                         self._boxes(one, 'true box')])
        return compose_panels(rows, ('pseudo boxes of AGDP', 'detections after AGDP', 'true boxes'))

    def _map(self, name: str) -> np.ndarray:
        return overlay_map(self.pixels[name], self.store.read(name))

    def _boxes(self, name: str, kind: str) -> np.ndarray:
        true = self.truth[name]
        return draw_boxes(self.pixels[name], np.asarray(true.boxes, np.float32).reshape(-1, 4), kind, true.categories,
                          scale=2)


def _read(panel: dict[str, Any]) -> np.ndarray:
    data = np.frombuffer(base64.b64decode(panel['src'].split(',', 1)[1]), np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Write a picture as WebP, at most ``WIDTH`` pixels wide."""
    scale = min(1.0, WIDTH / picture.shape[1])
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    with write_atomically(path) as file:
        file.write(cv2.imencode('.webp', small, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])[1].tobytes())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument('demo', nargs='?', type=Path, default=Path('work_dirs/demo'), help='folder of a finished demo '
                        '(default work_dirs/demo)')
    parser.add_argument('--out', type=Path, default=Path('docs/pictures'), help='(default docs/pictures)')
    parser.add_argument('--number', type=int, default=3, help='images in each picture (default 3)')


def run(args: argparse.Namespace) -> int:
    """Draw, and name the files."""
    os.environ['AGSSP_DEMO_DIR'] = str(args.demo)  # the configs look for data, maps and checkpoints there
    MMLogger.get_current_instance().setLevel('WARNING')
    concepts = Concepts(args.demo, args.number)
    args.out.mkdir(parents=True, exist_ok=True)
    for name in ('maps', 'thresholds', 'distillation', 'detections'):
        write_picture(args.out / f'{name}.webp', getattr(concepts, name)())
        print(args.out / f'{name}.webp')
    panels = args.demo / 'pictures' / 'panels_1.png'
    if panels.is_file():
        write_picture(args.out / 'demo.webp', cv2.imread(str(panels)))
        print(args.out / 'demo.webp')
    return 0


if __name__ == '__main__':
    sys.exit(run_command(sys.modules[__name__], 'draw_concepts.py'))
