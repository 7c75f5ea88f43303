"""``agssp export``: a checkpoint of a run in, a plain file of its backbone or of the whole detector out."""
import argparse

from ..checkpoints.repack import LIBRARIES, PARTS, Repacked, export_checkpoint

SUMMARY = 'write the backbone or the whole detector of a checkpoint as a plain file'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument('checkpoint', help='checkpoint of a run (epoch_*.pth, iter_*.pth) or an exported one')
    parser.add_argument('out', help='file to write')
    parser.add_argument('--part', choices=PARTS, default='backbone', help='(default %(default)s)')
    parser.add_argument('--to', choices=LIBRARIES, default='mmdet', metavar='LIBRARY',
                        help=f'whose names the tensors get: {", ".join(LIBRARIES)} (default %(default)s)')
    add_common_arguments(parser)


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `export` and `convert` share."""
    parser.add_argument('--allow-partial', action='store_true',
                        help='leave out tensors that the other library has no place for')
    parser.add_argument('--trust-checkpoint', action='store_true',
                        help='read a checkpoint that needs unpickling, which can run code of whoever made it')


def tell(written: Repacked) -> None:
    """Print what was written and how it is loaded."""
    print(f'wrote {written.num_tensors} tensors to {written.path}')
    if written.text:
        print(written.text)
    print(f'to load it:\n{written.snippet}')


def run(args: argparse.Namespace) -> int:
    """Export, and print how to load the file."""
    tell(export_checkpoint(args.checkpoint, args.out, args.part, args.to, args.trust_checkpoint, args.allow_partial))
    return 0
