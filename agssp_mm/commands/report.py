"""``agssp report``: the folder of a run in, one HTML page that shows it out."""
import argparse

from .options import DEFAULT_RULE, add_rule_arguments, rule_config

SUMMARY = 'write one HTML page that shows a run: maps, boxes, training, results'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument('work_dir', help='folder of agssp pretrain, of tools/train.py, of the demo, or a map store')
    parser.add_argument('--out', metavar='PAGE', help='page to write (default: report.html in that folder)')
    parser.add_argument('--annotations', metavar='COCO', help='true boxes to show beside the pseudo boxes')
    parser.add_argument('--images', metavar='FOLDER', help='folder that the image names are relative to, where the run '
                                                           'does not say (a bare map store does not)')
    add_rule_arguments(parser, default=None, where=', where the run does not say')
    parser.add_argument('--results', nargs='+', default=[], metavar='JSONL', help='results of '
                        'tools/benchmarks/transfer.py that lie elsewhere (default: *.jsonl and results/*.jsonl there)')
    parser.add_argument('--sample', type=int, default=200, metavar='N', help='images to box at every threshold '
                                                                             '(default %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='picks the sample (default %(default)s)')


def run(args: argparse.Namespace) -> int:
    """Write the page and say where it is."""
    from ..visualization.run_page import PageOptions, write_run_page
    rule = None
    if args.rule or args.rule_options:
        rule = rule_config(args.rule or DEFAULT_RULE, args.rule_options)
    page = write_run_page(args.work_dir, args.out, PageOptions(
        annotations=args.annotations, images=args.images, rule=rule, results=args.results,
        num_sampled=args.sample, seed=args.seed))
    print(f'page: {page}')
    return 0
