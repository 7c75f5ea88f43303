"""``agssp relabel``: a pretrained detector and unlabelled images in, pseudo boxes of a second round out."""
import argparse

from ..engine.next_round import make_next_round
from ..images import list_images
from ..maps.box_quality import IOU_THRESHOLDS, judge_boxes, match_names, read_true_boxes
from .options import add_image_list

SUMMARY = 'let a pretrained detector make the pseudo boxes of a second round, as COCO JSON'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument('config', help='config of stage 2 (AGDP)')
    parser.add_argument('checkpoint', help='the detector.pth that it wrote')
    add_image_list(parser)
    parser.add_argument('store', help='map store of the images; says their sizes')
    parser.add_argument('out', help='COCO JSON to write, for PseudoBoxDataset(boxes=...)')
    parser.add_argument('--per-image', type=float,
                        help='how many boxes to keep per image on average, best first over all images (default: as '
                             'many as the config was trained on)')
    parser.add_argument('--image-size', type=int, metavar='PIXELS',
                        help='longer side that the images are scaled to (default: as in the training, by the Resize or '
                             'RandomResize of the config)')
    parser.add_argument('--batch-size', type=int, default=8)
    parser.add_argument('--workers', type=int, default=2, help='processes that read images (default: 2)')
    parser.add_argument('--device', help='"cpu", "cuda", ... (default: cuda where there is one)')
    parser.add_argument('--annotations', metavar='COCO',
                        help='true boxes: print recall and precision; nothing else is done with them')


def run(args: argparse.Namespace) -> int:
    """Write the boxes; with annotations, print how good they are."""
    truth = read_true_boxes(args.annotations) if args.annotations else None
    images = list_images(args.images, args.root)
    if truth is not None:
        truth = match_names([entry.name for entry in images], truth)  # now, and not after hours
    boxes = make_next_round(args.config, args.checkpoint, images, args.store, args.out,
                            per_image=args.per_image, image_size=args.image_size, batch_size=args.batch_size,
                            workers=args.workers, device=args.device)
    counts = [len(each.boxes) for each in boxes.values()]
    print(f'{sum(counts)} pseudo boxes in {len(counts)} images, {counts.count(0)} images without: {args.out}')
    if truth is not None:
        quality = judge_boxes(boxes, truth)
        for measure in ('recall', 'precision'):
            values = getattr(quality, measure)
            print(f'{measure} at IoU ' + ', '.join(f'{value}: {values[value]:.3f}' for value in IOU_THRESHOLDS))
    return 0
