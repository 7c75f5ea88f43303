"""The trainings a run needs, each a process of ``tools/train.py`` in a folder of its own that is found again."""
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo_parts.training import evaluate, last_metrics, train
from mmengine.config import Config, ConfigDict

from agssp_mm.checkpoints.reading import sha256
from agssp_mm.engine.data_origin import describe_data, mappings
from agssp_mm.engine.launch import load_config, use_mixed_precision
from agssp_mm.engine.next_round import make_next_round
from agssp_mm.engine.resume import find_checkpoint
from agssp_mm.files import write_atomically
from agssp_mm.images import list_images
from agssp_mm.recipes.labels import has_sound_images

from .grid import Run, split_rounds

CONFIGS = Path(__file__).resolve().parents[3] / 'configs' / 'agssp'
_RULE = ['train_dataloader', 'dataset', 'rule']
DONE, WANTED, NEXT_ROUND = 'done', 'wanted.txt', 'next_round.json'
AGDP_CONFIGS = dict(frozen='agdp_paper', trained='agdp')


@dataclass(frozen=True)
class Bench:
    """What all runs of a benchmark share.

    Attributes:
        data_root: Folder of the data set: ``annotations/`` and ``images/``.
        work_dir: Where the trainings lie.
        store: Map store that covers the images of the pretraining.
        names: Text file with the names of the pretraining's images, relative to ``image_root``.
        image_root: Folder that they are relative to.
        options: Config options of the trainings: ``{'pretrain': ..., 'agdp': ..., 'finetune': ...}``; those of
            ``agdp`` go over those of ``pretrain``, which both stages get.
        split_folder: Image folder of the split that is measured on, relative to ``data_root``.
        coco: Checkpoint of the initialisation ``coco``.
    """

    data_root: Path
    work_dir: Path
    store: Path
    names: Path
    image_root: Path
    options: Mapping[str, Mapping[str, Any]]
    split_folder: str
    coco: str | None = None


def pretrain(bench: Bench, run: Run) -> str | None:
    """Make, or find, the weights that a run starts from.

    Returns:
        Path for ``load_from``; ``None`` for ``random`` and ``imagenet``.
    """
    if run.init in ('random', 'imagenet'):
        return None
    if run.init == 'coco':
        return bench.coco
    if run.init == 'agbp':
        return str(_agbp(bench, run))
    start = _agbp(bench, run) if run.init == 'agssp' else None
    return str(_agdp(bench, run, start))


def _agbp(bench: Bench, run: Run) -> Path:
    cfg = _config(bench, run, 'agbp')
    num_images = len(bench.names.read_text(encoding='utf-8').splitlines())
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        _use_images(bench, loader.dataset)
        loader.dataset.held_out = min(loader.dataset.held_out, num_images // 4)
        for transform in loader.dataset.pipeline:
            if transform.type == 'AnomalyMapGenerator':
                transform.update(store=str(bench.store), image_root=str(bench.image_root))
    return _pretrain_once(cfg, bench, run, 'agbp') / 'backbone.pth'


def _agdp(bench: Bench, run: Run, start: Path | None) -> Path:
    """AGDP, and as often again on what its detector finds as the recipe says."""
    cfg = _agdp_config(bench, run, start)
    if run.init == 'oracle':
        cfg.train_dataloader.dataset = _true_boxes(bench, cfg.train_dataloader.dataset.pipeline)
    else:
        _use_images(bench, cfg.train_dataloader.dataset)
    recipe, rounds = split_rounds(run.recipe)
    folder = _pretrain_once(cfg, bench, run, f'{run.init}-{recipe}')
    for number in range(2, 1 + (1 if run.init == 'oracle' else rounds)):  # true boxes need no second look
        boxes = _relabel(bench, run, folder)
        cfg = _agdp_config(bench, run, start)
        _use_images(bench, cfg.train_dataloader.dataset)
        cfg.train_dataloader.dataset.update(rule=None, boxes=str(boxes))
        folder = _pretrain_once(cfg, bench, run, f'{run.init}-{recipe}+round{number}')
    return folder / 'detector.pth'


def _agdp_config(bench: Bench, run: Run, start: Path | None) -> Config:
    cfg = _config(bench, run, AGDP_CONFIGS[run.recipe.split('+')[0]])
    cfg.load_from = start and str(start)
    if start is None:
        cfg.model.backbone.init_cfg = _config(bench, run, 'imagenet').model.backbone.init_cfg
    return cfg


def _relabel(bench: Bench, run: Run, folder: Path) -> Path:
    """What the detector of one round finds, as many boxes as that round was given."""
    target = folder / NEXT_ROUND
    if not target.is_file():
        make_next_round(folder / 'config.py', folder / 'detector.pth', list_images(bench.names, bench.image_root),
                        bench.store, target, image_size=run.image_size)
    return target


def _pretrain_once(cfg: Config, bench: Bench, run: Run, stage: str) -> Path:
    # The split is part of the name, because it decides which images the pretraining may see.
    precision = 'amp' if run.amp else 'full'
    name = f'{run.dataset}-{run.split}-{run.detector}-{stage}-{run.image_size}-{precision}-{run.pretrain_seed}'
    options = dict(bench.options['pretrain'], **({} if stage == 'agbp' else bench.options['agdp']))
    if stage != 'agbp' and not cfg.train_dataloader.dataset.get('rule'):  # true boxes, or those of a later round
        options = {key: value for key, value in options.items() if key.split('.')[:3] != _RULE}
    return _run_once(cfg, bench, 'pretrain', name, run.pretrain_seed, options)


def finetune(bench: Bench, run: Run, weights: str | None) -> Path:
    """Fine-tune and measure; returns the folder of the run."""
    cfg = _config(bench, run, 'imagenet')
    classes = _classes(bench, run)
    cfg.model.bbox_head.num_classes = len(classes)
    cfg.load_from = weights
    if run.init != 'imagenet':
        cfg.model.backbone.init_cfg = None
    root = f'{bench.data_root}/'
    keep_sound_images(cfg.train_dataloader.dataset.pipeline, bench.data_root / 'annotations' / f'{run.labels}.json')
    cfg.train_dataloader.dataset.update(data_root=root, ann_file=f'annotations/{run.labels}.json',
                                        metainfo=dict(classes=classes))
    for loader, evaluator in ((cfg.val_dataloader, cfg.val_evaluator), (cfg.test_dataloader, cfg.test_evaluator)):
        loader.dataset.update(data_root=root, ann_file=f'annotations/{run.split}.json',
                              data_prefix=dict(img=bench.split_folder), metainfo=dict(classes=classes))
        evaluator.update(ann_file=f'{root}annotations/{run.split}.json', classwise=True)
    cfg.train_cfg.update(max_epochs=run.epochs, val_interval=run.epochs)
    cfg.param_scheduler[-1].T_max = run.epochs
    return _run_once(cfg, bench, 'finetune', run.name, run.seed, bench.options['finetune'])


def _run_once(cfg: Config, bench: Bench, kind: str, name: str, seed: int, options: Mapping[str, Any]) -> Path:
    """Train unless the folder holds the finished training of the very same config; go on with an interrupted one.

    Raises:
        ValueError: If the folder holds a training of another config.
    """
    cfg.merge_from_dict(dict(options))
    cfg.randomness = dict(seed=seed)
    folder = bench.work_dir / kind / name
    folder.mkdir(parents=True, exist_ok=True)
    # The runner writes its own form of config.py over the one it was given, so what was wanted is kept beside it.
    config, wanted = folder / 'config.py', folder / WANTED
    text = f'{cfg.pretty_text}\n# made of {json.dumps(_inputs(cfg), sort_keys=True)}\n'
    if wanted.is_file() and wanted.read_text(encoding='utf-8') != text:
        raise ValueError(f'{folder} holds a training of another config, or of weights, maps, boxes or lists that have '
                         'changed since; give another --work-dir, or delete it')
    for path, content in ((config, cfg.pretty_text), (wanted, text)):
        with write_atomically(path) as file:
            file.write(content.encode())
    if not (folder / DONE).is_file():
        train(config, {}, folder)
        (folder / DONE).touch()
    return folder


def _inputs(cfg: Config) -> list[Any]:
    """What the files that a config names hold: under the same path there may be something else later."""
    files = [cfg.get('load_from'), *(part[key] for part in mappings(cfg.train_dataloader)
                                     for key in ('images', 'boxes') if isinstance(part.get(key), str))]
    return [describe_data(cfg.train_dataloader), [sha256(path) for path in files if path]]


def metrics_of(folder: Path) -> dict[str, Any]:
    """What CocoMetric measured at the end of a finished training, in per cent.

    A training that was killed between its last epoch and the end of the evaluation is evaluated here. Where a detector
    found nothing at all CocoMetric measures nothing; that counts as zero.
    """
    found = last_metrics(folder)
    checkpoint = None if found else find_checkpoint(folder)
    if checkpoint:
        found = evaluate(folder / 'config.py', {}, checkpoint, folder)
    ending = '_precision'
    per_class = {key.removeprefix('coco/').removesuffix(ending): round(100 * value, 2)
                 for key, value in found.items() if key.endswith(ending)}
    return dict(mAP=round(100 * found.get('coco/bbox_mAP', 0.0), 2),
                mAP50=round(100 * found.get('coco/bbox_mAP_50', 0.0), 2), per_class=per_class)


def count_images(bench: Bench, run: Run) -> int:
    """Labelled images of the fine-tuning."""
    return len(_read_labels(bench, run)['images'])


def check_configs(run: Run) -> None:
    """Refuse a run of which a config is missing, before its first training.

    Raises:
        FileNotFoundError: If there is no such config.
    """
    agdp = AGDP_CONFIGS[run.recipe.split('+')[0]] if run.recipe else 'agdp'
    stages = dict(agbp=['agbp'], agdp=[agdp], agssp=['agbp', agdp], oracle=[agdp]).get(run.init, [])
    for stage in ('imagenet', *stages):  # every fine-tuning is that of the ImageNet row
        if not config_path(run.detector, stage).is_file():
            raise FileNotFoundError(f'there is no {config_path(run.detector, stage)}; the benchmark needs the configs '
                                    'of a detector that end in _imagenet (the fine-tuning of every row), _agbp and '
                                    '_agdp')


def config_path(detector: str, stage: str) -> Path:
    """Where the config of a stage lies."""
    return CONFIGS / detector / f'{detector}_{stage}.py'


def _config(bench: Bench, run: Run, stage: str) -> Config:
    path = config_path(run.detector, stage)
    cfg = load_config(path)
    for loader in filter(None, (cfg.train_dataloader, cfg.get('val_dataloader'), cfg.get('test_dataloader'))):
        _set_image_size(loader.dataset.pipeline, run.image_size)
    if run.amp:
        use_mixed_precision(cfg)
    return cfg


def _set_image_size(pipeline: Any, size: int) -> None:
    for transform in pipeline:
        for key in ('scale', 'crop_size', 'img_scale'):
            if key in transform:
                transform[key] = (size, size)


def keep_sound_images(pipeline: Any, annotations: Path) -> None:
    """Where images have no box, let crops have none: RandomCrop drops such an image otherwise, and draws another."""
    if has_sound_images(annotations):
        for transform in pipeline:
            if transform.type == 'RandomCrop':
                transform.allow_negative_crop = True


def _classes(bench: Bench, run: Run) -> tuple[str, ...]:
    # In the order of the file, in which MMDetection counts labels.
    return tuple(category['name'] for category in _read_labels(bench, run)['categories'])


def _read_labels(bench: Bench, run: Run) -> dict[str, Any]:
    return json.loads((bench.data_root / 'annotations' / f'{run.labels}.json').read_text(encoding='utf-8'))


def _use_images(bench: Bench, dataset: ConfigDict) -> None:
    dataset.update(data_root='', images=str(bench.names), image_root=str(bench.image_root), store=str(bench.store))


def _true_boxes(bench: Bench, pipeline: Any) -> ConfigDict:
    """The data set of the oracle: the true boxes of the pretraining's images, all of one class."""
    coco = json.loads((bench.data_root / 'annotations' / 'train.json').read_text(encoding='utf-8'))
    wanted = set(bench.names.read_text(encoding='utf-8').splitlines())
    images = [image for image in coco['images'] if image['file_name'] in wanted]
    known = {image['id'] for image in images}
    boxes = [dict(box, category_id=1) for box in coco['annotations'] if box['image_id'] in known]
    target = bench.work_dir / f'{bench.names.stem}-true_boxes.json'
    with write_atomically(target) as file:
        file.write(json.dumps(dict(images=images, annotations=boxes,
                                   categories=[dict(id=1, name='anomaly')])).encode())
    return _coco_dataset(bench, target, pipeline)


def _coco_dataset(bench: Bench, boxes: Path, pipeline: Any) -> ConfigDict:
    return ConfigDict(type='CocoDataset', ann_file=str(boxes), data_prefix=dict(img=f'{bench.image_root}/'),
                      metainfo=dict(classes=('anomaly', )), filter_cfg=dict(filter_empty_gt=False), pipeline=pipeline)
