"""``agssp make-boxes``: a map store in, pseudo boxes as COCO JSON out."""
import argparse
from collections.abc import Mapping

from ..maps.box_cache import load_or_make_boxes
from ..maps.box_quality import (IOU_THRESHOLDS, BoxQuality, TrueBoxes, judge_boxes, match_names,
                                read_true_boxes)
from ..maps.boxes import BoxRule, PseudoBoxes
from ..maps.coco import boxes_to_coco, write_coco
from ..maps.store import MapStore
from ..maps.strongest import check_per_image, keep_strongest
from .options import add_rule_arguments, build_rule, rule_names

SUMMARY = 'make pseudo boxes from a map store, as COCO JSON, and judge them where true boxes are at hand'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument('store', help='folder of the map store')
    parser.add_argument('out', help='COCO JSON to write')
    add_rule_arguments(parser)
    parser.add_argument('--per-image', type=float,
                        help='keep the best boxes of all images together, so many per image on average, as '
                             'PseudoBoxDataset(per_image=...) does (default: all)')
    parser.add_argument('--annotations', metavar='COCO',
                        help='true boxes: print recall and precision of every rule; nothing else is done with them')


def run(args: argparse.Namespace) -> int:
    """Write the boxes; print how many there are, and with annotations how good."""
    rule = build_rule(args.rule, args.rule_options)
    if args.per_image is not None:
        check_per_image(args.per_image)
    truth = read_true_boxes(args.annotations) if args.annotations else None
    store = MapStore.open(args.store)
    if truth is not None:
        truth = match_names([record.name for record in store.index], truth)  # now, and not after the boxes
    boxes = _boxes_of(store, rule, args.per_image)
    coco = boxes_to_coco(boxes, store.index, rule)
    if args.per_image is not None:
        coco['info']['per_image'] = args.per_image
    write_coco(args.out, coco)
    counts = [len(found.boxes) for found in boxes.values()]
    print(f'{sum(counts)} pseudo boxes in {len(counts)} images, {counts.count(0)} images without: {args.out}')
    if truth is not None:
        print(compare_rules(store, args.rule, rule, truth, args.per_image))
    return 0


def _boxes_of(store: MapStore, rule: BoxRule, per_image: float | None) -> dict[str, PseudoBoxes]:
    boxes = load_or_make_boxes(store, rule)
    return boxes if per_image is None or not any(len(each.boxes) for each in boxes.values()) \
        else keep_strongest(boxes, per_image)


def compare_rules(store: MapStore, chosen: str, rule: BoxRule, truth: Mapping[str, TrueBoxes],
                  per_image: float | None = None) -> str:
    """Judge the chosen rule and all others, these with their default settings, side by side."""
    rules = {name: rule if name == chosen else build_rule(name, {}) for name in rule_names()}
    judged = {name: judge_boxes(_boxes_of(store, each, per_image), truth) for name, each in rules.items()}
    some = judged[chosen]
    lines = [(f'{measure} at IoU {threshold}', *(getattr(quality, measure)[threshold] for quality in judged.values()))
             for threshold in IOU_THRESHOLDS for measure in ('recall', 'precision')]
    lines += [('boxes per image', *(quality.boxes_per_image for quality in judged.values())),
              ('share of images without a box', *(quality.empty_share for quality in judged.values()))]
    lines += [line for category in some.category_recall for line in _category_lines(category, judged)]
    head = f'{some.num_images} of {len(store.index)} images have annotations'
    return '\n'.join([head, *_table(['', *judged], lines)])


def _category_lines(category: str, judged: Mapping[str, BoxQuality]) -> list[tuple]:
    return [(f'recall at IoU {threshold}, {category}',
             *(quality.category_recall[category][threshold] for quality in judged.values()))
            for threshold in IOU_THRESHOLDS]


def _table(names: list[str], lines: list[tuple]) -> list[str]:
    cells = [names, *([label, *(f'{value:.3f}' for value in values)] for label, *values in lines)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(names))]
    return ['  '.join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))])
            for row in cells]
