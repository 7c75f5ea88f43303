"""Evaluate a checkpoint with the test settings of a config."""
import argparse
import sys
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import Runner

from agssp_mm.cli import run_command
from agssp_mm.commands.settings_action import SettingsAction
from agssp_mm.engine.launch import RANK_VARIABLES, load_config, process_group
from agssp_mm.engine.resume import add_load_arguments, check_start

SUMMARY = 'evaluate a checkpoint with the test settings of a config'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--work-dir', help='where the metrics go (default: ./work_dirs/<name of the config>)')
    parser.add_argument('--out', help='write the predictions to this .pkl file too')
    parser.add_argument('--show-dir', help='write the images with their detections to this folder of the run')
    parser.add_argument('--cfg-options', nargs='+', action=SettingsAction, metavar='KEY=VALUE',
                        help='settings that go before the config')
    parser.add_argument('--launcher', choices=('none', *RANK_VARIABLES), default='none',
                        help='what started the processes of this run')
    add_load_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluate."""
    cfg = load_config(args.config, args.cfg_options, args.work_dir)
    cfg.load_from, cfg.resume = args.checkpoint, False
    if args.show_dir:
        draw_detections(cfg, args.show_dir)
    if args.out:
        dump_predictions(cfg, args.out)
    with process_group(cfg, args.launcher):
        check_start(cfg, args.trust_checkpoint, args.strict, args.allow_partial)
        Runner.from_cfg(cfg).test()
    return 0


def draw_detections(cfg: Config, folder: str) -> None:
    """Let MMDetection's visualization hook write every image.

    Raises:
        ValueError: If the config has no such hook.
    """
    hook = cfg.get('default_hooks', {}).get('visualization')
    if hook is None or not getattr(hook.type, '__name__', hook.type).endswith('DetVisualizationHook'):
        raise ValueError('--show-dir needs default_hooks.visualization of type DetVisualizationHook in the config, '
                         "as MMDetection's default_runtime.py has it")
    hook.update(draw=True, test_out_dir=folder)


def dump_predictions(cfg: Config, path: str) -> None:
    """Let MMDetection's dump metric write the predictions.

    Raises:
        ValueError: If the file is no pickle by its suffix, or the config has nothing to test.
    """
    if Path(path).suffix not in ('.pkl', '.pickle'):
        raise ValueError(f'--out: {path} ends in "{Path(path).suffix}"; predictions are written as .pkl')
    if cfg.get('test_evaluator') is None:
        raise ValueError('--out needs test_evaluator in the config')
    evaluators = cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else [cfg.test_evaluator]
    cfg.test_evaluator = [*evaluators, dict(type='mmdet.DumpDetResults', out_file_path=path)]


if __name__ == '__main__':
    sys.exit(run_command(sys.modules[__name__], 'test.py'))
