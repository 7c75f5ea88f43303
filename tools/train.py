"""Train what a config describes: any stage of the pretraining, or a detector."""
import argparse
import sys

from mmengine.runner import Runner

from agssp_mm.cli import run_command
from agssp_mm.commands.settings_action import SettingsAction
from agssp_mm.engine.launch import (RANK_VARIABLES, class_counts_explained, load_config, process_group,
                                    scale_learning_rate, use_mixed_precision)
from agssp_mm.engine.resume import add_load_arguments, check_start, resume

SUMMARY = 'train what a config describes'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='where the run writes (default: ./work_dirs/<name of the config>)')
    parser.add_argument('--resume', nargs='?', const='auto', metavar='CHECKPOINT',
                        help='go on from this checkpoint; without a name, from the newest in the work directory')
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision')
    parser.add_argument('--auto-scale-lr', action='store_true', help='scale the learning rate with the batch size')
    parser.add_argument('--cfg-options', nargs='+', action=SettingsAction, metavar='KEY=VALUE',
                        help='settings that go before the config, e.g. optim_wrapper.optimizer.lr=0.01')
    parser.add_argument('--launcher', choices=('none', *RANK_VARIABLES), default='none',
                        help='what started the processes of this run')
    add_load_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Train."""
    cfg = load_config(args.config, args.cfg_options, args.work_dir)
    if args.amp:
        use_mixed_precision(cfg)
    if args.auto_scale_lr:
        scale_learning_rate(cfg)
    if args.resume:
        resume(cfg, args.resume)
    with process_group(cfg, args.launcher), class_counts_explained():
        check_start(cfg, args.trust_checkpoint, args.strict, args.allow_partial)
        Runner.from_cfg(cfg).train()
    return 0


if __name__ == '__main__':
    sys.exit(run_command(sys.modules[__name__], 'train.py'))
