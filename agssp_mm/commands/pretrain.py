"""``agssp pretrain``: unlabelled images and a detector's config in, pretrained checkpoints out."""
import argparse

from ..recipes.settings import RecipeSettings
from .options import (add_listing_arguments, add_rule_arguments, add_teacher_arguments, parse_sources, rule_config,
                      teacher_config)

SUMMARY = 'pretrain a detector on unlabelled images: maps, AGBP, AGDP'
_PASSED_ON = ('agbp_epochs', 'agdp_epochs', 'agdp_rounds', 'finetune_epochs', 'batch_size', 'agbp_lr', 'agdp_lr',
              'workers', 'seed')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument('--images', required=True,
                        help='folder, text file of names, or COCO JSON (only the file names are read)')
    parser.add_argument('--detector', required=True, metavar='CONFIG',
                        help='config of MMDetection 3.x: a path, or mmdet::folder/name.py')
    parser.add_argument('--out', required=True, help='folder of the run; an interrupted run in it goes on')
    add_listing_arguments(parser)
    add_teacher_arguments(parser)
    add_rule_arguments(parser)
    parser.add_argument('--maps', metavar='STORE', help='finished map store to use instead of making one')
    parser.add_argument('--start', default='imagenet', metavar='WEIGHTS',
                        help='"imagenet": the initial weights that the config names (default); "coco": the checkpoint '
                             'published for it; "none"; or a file or URL')
    parser.add_argument('--strict', action='store_true',
                        help='refuse start weights that lack any tensor of the backbone')
    parser.add_argument('--allow-partial', action='store_true',
                        help='take start weights of which less than half fits the backbone')
    parser.add_argument('--image-size', type=int, metavar='PIXELS',
                        help="side of the crops, and longer side that images are scaled to (default: the median of the "
                             "images' longer sides, within 256 and 800)")
    parser.add_argument('--freeze-backbone', action='store_true',
                        help='train neck and head alone in AGDP, as the paper does')
    parser.add_argument('--no-pasting', dest='paste_defects', action='store_false',
                        help='paste no made defects onto the images of AGDP, as the paper does')
    parser.add_argument('--amp', action='store_true', help='mixed precision')
    parser.add_argument('--devices', type=int, default=1, help='GPUs, or processes where there is none (default 1)')
    parser.add_argument('--no-resume', action='store_true', help='refuse a folder that holds this run already')
    _add_recipe_arguments(parser)
    labelled = parser.add_argument_group('labelled images, for finetune.py alone')
    labelled.add_argument('--annotations', metavar='COCO', help='COCO JSON to fine-tune on')
    labelled.add_argument('--val-annotations', metavar='COCO',
                          help='COCO JSON to measure on, with the same categories in the same order (default: the same '
                               'file, whose figures say little)')
    labelled.add_argument('--annotated-images', metavar='FOLDER', help='folder of their images (default: --root)')


def _add_recipe_arguments(parser: argparse.ArgumentParser) -> None:
    default = {name: field.default for name, field in RecipeSettings.__dataclass_fields__.items()}
    parser.add_argument('--batch-size', type=int, default=default['batch_size'],
                        help='images per step and device in AGBP; AGDP takes half (default %(default)s)')
    for stage in ('agbp', 'agdp'):
        parser.add_argument(f'--{stage}-epochs', type=int, metavar='N',
                            help=f'{"passes over the images; 0: no AGBP" if stage == "agbp" else "passes"} (default '
                                 f'{default[f"{stage}_epochs"]}, up to three times as many for less than 3,780 images)')
    parser.add_argument('--finetune-epochs', type=int, default=default['finetune_epochs'], metavar='N',
                        help='(default %(default)s)')
    parser.add_argument('--agdp-rounds', type=int, default=default['agdp_rounds'], metavar='N',
                        help='train AGDP so many times, each after the first on the boxes that the detector before it '
                             'finds (default %(default)s)')
    parser.add_argument('--agbp-lr', type=float, default=default['agbp_lr'], help='(default %(default)s)')
    parser.add_argument('--agdp-lr', type=float, help="(default: the config's own, scaled to the batch)")
    parser.add_argument('--workers', type=int, default=default['workers'],
                        help='loader processes (default %(default)s)')
    parser.add_argument('--seed', type=int, default=default['seed'], help='(default %(default)s)')


def run(args: argparse.Namespace) -> int:
    """Pretrain and say where everything is."""
    from ..api import pretrain
    result = pretrain(
        args.images, args.detector, args.out, root=args.root, sources=parse_sources(args.sources),
        value_range=args.value_range and tuple(args.value_range),
        value_percentiles=args.value_percentiles and tuple(args.value_percentiles), teacher=teacher_config(args),
        device=args.device, maps=args.maps, start=args.start, image_size=args.image_size, amp=args.amp,
        devices=args.devices, strict=args.strict, allow_partial=args.allow_partial, resume=not args.no_resume,
        rule=rule_config(args.rule, args.rule_options), freeze_backbone=args.freeze_backbone,
        paste_defects=args.paste_defects, annotations=args.annotations, val_annotations=args.val_annotations,
        annotated_images=args.annotated_images, **{name: getattr(args, name) for name in _PASSED_ON})
    if result.page:
        print(f'page: {result.page}')
    print(f'backbone: {result.backbone}\ndetector: {result.detector}\nmaps: {result.store}\nconfigs: '
          f'{", ".join(map(str, result.configs))}\nto fine-tune: python tools/train.py {args.out}/finetune.py')
    return 0
