"""``agssp generate_maps``: a folder or list of images in, a map store out."""
import argparse
import os
from datetime import timedelta

from mmengine.dist import get_rank

from ..engine.launch import leave_group
from ..images import ImageList, list_images
from ..maps.generate import generate_maps
from ..maps.states import load_state
from ..teachers.base import Teacher
from .options import add_image_arguments, add_teacher_arguments, build_teacher, parse_sources

SUMMARY = 'make the anomaly maps of a folder or list of images'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_image_arguments(parser)
    parser.add_argument('store', help='folder of the map store; a started one is continued')
    add_teacher_arguments(parser)
    parser.add_argument('--fitted', metavar='STORE',
                        help='take what the teacher has learned from this map store, or state file, and learn nothing '
                             'here')
    parser.add_argument('--batch-size', type=int, default=8, help='images per call of the teacher (default 8)')
    parser.add_argument('--seed', type=int, default=0,
                        help='picks the samples for calibration and percentiles (default 0)')
    parser.add_argument('--launcher', choices=('none', 'pytorch'),
                        default='pytorch' if int(os.environ.get('WORLD_SIZE', 1)) > 1 else 'none',
                        help='"pytorch", the default under torchrun: every rank makes its share')


def run(args: argparse.Namespace) -> int:
    """Generate the maps and print what was skipped."""
    images = list_images(args.images, args.root, parse_sources(args.sources))
    if args.launcher == 'pytorch':
        _join_group()
    try:
        return _generate(args, images, build_teacher(args))  # only now "cuda" is the device of this rank
    finally:
        leave_group()


def _generate(args: argparse.Namespace, images: ImageList, teacher: Teacher) -> int:
    state = load_state(args.fitted) if args.fitted else None
    summary = generate_maps(images, teacher, args.store, fitted_state=state, batch_size=args.batch_size, seed=args.seed,
                            value_range=args.value_range and tuple(args.value_range),
                            value_percentiles=args.value_percentiles and tuple(args.value_percentiles))
    if get_rank() == 0:
        if images.num_ignored:
            print(f'{images.num_ignored} files in {images.root} are no images by their suffix and were passed over')
        print(summary)
        print(f'map store: {args.store}')
    return 0


def _join_group() -> None:
    import torch
    import torch.distributed as dist
    if not dist.is_initialized():
        # Ranks exchange a few lists only, so gloo does on every machine.
        # The others wait while the first one fits the teacher, and at the end for the slowest: longer than the default.
        dist.init_process_group('gloo', timeout=timedelta(days=7))
    if torch.cuda.is_available():
        torch.cuda.set_device(dist.get_rank() % torch.cuda.device_count())
