"""``agssp convert``: weights of a backbone or a detector from one library's names to another's."""
import argparse

from ..checkpoints.conversion import ARCHITECTURES, DETECTORS, LIBRARIES, PARTS
from ..checkpoints.repack import convert_checkpoint
from .export import add_common_arguments, tell

SUMMARY = 'rename the weights of a backbone or a detector for another library'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument('checkpoint', help='file or URL: .pth, .safetensors, or a .pkl of Detectron2 that is trusted')
    parser.add_argument('out', help='file to write')
    for word, what in (('from', 'whose names the file has'), ('to', 'whose names it gets')):
        parser.add_argument(f'--{word}', choices=LIBRARIES, required=True, metavar='LIBRARY', dest=f'{word}_library',
                            help=f'{what}: {", ".join(LIBRARIES)}')
    parser.add_argument('--part', choices=PARTS, default='backbone',
                        help=f'detector: neck and heads too, of {", ".join(DETECTORS)} (default %(default)s)')
    parser.add_argument('--architecture', choices=[*ARCHITECTURES, *DETECTORS], metavar='NAME',
                        help=f'one of {", ".join([*ARCHITECTURES, *DETECTORS])} (default: found out by the names)')
    add_common_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Convert, and print how to load the file."""
    tell(convert_checkpoint(args.checkpoint, args.out, args.from_library, args.to_library, args.architecture,
                            args.trust_checkpoint, args.allow_partial, args.part))
    return 0
