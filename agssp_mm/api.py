"""The whole pretraining as one call."""
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from agssp_mm.engine.launch import use_mixed_precision
from agssp_mm.files import unused_path
from agssp_mm.images import ImageList, list_images
from agssp_mm.maps.from_config import build_rule, build_teacher, generate_from_config
from agssp_mm.maps.store import MapStore
from agssp_mm.recipes import (RecipeSettings, SourceDetector, derive_agbp, derive_agdp, derive_finetune,
                              find_input_needs, inspect_backbone, read_detector, round_files, why_one_round,
                              write_config)
from agssp_mm.recipes.first_boxes import check_maps_of, make_first_boxes
from agssp_mm.recipes.image_loading import check_labelled, choose_loader
from agssp_mm.recipes.image_sizes import choose_image_size
from agssp_mm.recipes.kept_configs import kept_notes
from agssp_mm.recipes.label_checks import check_labels
from agssp_mm.recipes.labels import (check_files, check_images, check_outlines, check_same_classes, count_images,
                                     has_sound_images, read_classes)
from agssp_mm.recipes.lengths import choose_passes
from agssp_mm.recipes.run_folder import RunFolder
from agssp_mm.recipes.running import train_stages, trainings
from agssp_mm.recipes.small_boxes import small_box_note
from agssp_mm.recipes.start_weights import resolve_start, start_notes
from agssp_mm.teachers.placing import choose_device
from agssp_mm.version import __version__
from agssp_mm.visualization.run_page import try_to_write_run_page

# Where the run goes and how fast it gets there: a run may be continued with others.
_LABELS = ('classes', 'train_annotations', 'num_labelled', 'with_sound_images', 'val_annotations', 'annotated_images',
           'finetune_epochs')
_FREE = ('out', 'workers', 'image_loader', *_LABELS)  # the loader follows from the ranges and the store
_HELD_OUT = 60
_PASSES = ('agbp_epochs', 'agdp_epochs')


@dataclass(frozen=True)
class PretrainResult:
    """What a run of :func:`pretrain` left.

    Attributes:
        backbone: ``backbone.pth``, the backbone after stage 1, where that is left out after stage 2.
        detector: ``detector.pth``, the detector after stage 2.
        configs: The configs that were run, and ``finetune.py``.
        store: The map store.
        page: ``report.html``, which shows the run; None where it could not be written.
    """

    backbone: Path
    detector: Path
    configs: tuple[Path, ...]
    store: Path
    page: Path | None = None


def pretrain(images: str | Path, detector: str | Path | Config, out: str | Path, *,
             root: str | Path | None = None, sources: Mapping[str, str] | None = None,
             value_range: tuple[float, float] | None = None, value_percentiles: tuple[float, float] | None = None,
             teacher: str | Mapping[str, Any] = 'TextureTeacher', device: str | None = None,
             maps: str | Path | None = None, start: str = 'imagenet', image_size: int | None = None,
             annotations: str | Path | None = None, val_annotations: str | Path | None = None,
             annotated_images: str | Path | None = None, amp: bool = False, devices: int = 1, resume: bool = True,
             downloads: bool | None = None, strict: bool = False, allow_partial: bool = False,
             **recipe: Any) -> PretrainResult:
    """Pretrain a detector on unlabelled images: maps if there are none, AGBP, AGDP.

    ``out`` gets the configs ``maps.py``, ``agbp.py``, ``agdp.py`` (and ``agdp_round2.py``, ...) and ``finetune.py``,
    the map store ``maps/``, ``backbone.pth``, ``detector.pth``, the logs of the stages below folders named like their
    configs, and ``report.html``. All is checked before anything is written. A run that was interrupted goes on where
    it was, with the configs as they stand in ``out``.

    Args:
        images: Folder, text file of names or COCO JSON (only file names are read).
        detector: Config of MMDetection 3.x: a path, a name such as ``mmdet::rtmdet/rtmdet_s_8xb32-300e_coco.py``,
            or a Config.
        out: Folder of the run; new, empty, or of this very run.
        root: Folder that listed names are relative to.
        sources: Declared parts of the images, see :func:`agssp_mm.images.list_images`.
        value_range: Grey values of deep images that become 0 and 255.
        value_percentiles: Measure that range instead, see :func:`agssp_mm.maps.generate.generate_maps`.
        teacher: Type or config of the teacher.
        device: Where the teacher runs; default: "cuda" where there is one.
        maps: Finished map store to use instead of making one.
        start: "imagenet" (initial weights of the config itself), "coco" (the checkpoint published for it), "none", or
            a file or URL.
        image_size: Side of the crops, and longer side that images are scaled to, in pixels; default: the median of
            the images' longer sides, within 256 and 800.
        annotations: COCO file of labelled images for ``finetune.py``; no other stage reads it. Given to a run that
            has a ``finetune.py`` for others, it is written anew and the one before is kept as ``finetune.py.old``, then
            ``finetune.py.old2`` and so on.
        val_annotations: COCO file that the fine-tuning is measured on, and its best checkpoint chosen by; default:
            ``annotations``, with a note. It lists the same categories in the same order.
        annotated_images: Folder of the images that these name; default: ``root``.
        amp: Mixed precision in both stages.
        devices: Number of GPUs, or of processes where there is none.
        resume: Go on with an interrupted run; else its folder is refused.
        downloads: Whether initial weights may be fetched from the network; None tries.
        strict: Refuse a ``start`` that lacks any tensor of the backbone.
        allow_partial: Start from a checkpoint of which less than half fits, as long as a tensor does.
        **recipe: More settings of :class:`agssp_mm.recipes.RecipeSettings`: ``batch_size``, ``agbp_epochs``,
            ``agdp_epochs``, ``agdp_rounds``, ``finetune_epochs``, ``agbp_lr``, ``agdp_lr``, ``freeze_backbone``,
            ``paste_defects``, ``rule``, ``workers``, ``seed``. Fewer than 3,780 images are passed over more often in
            AGBP and AGDP, up to three times, unless ``agbp_epochs`` and ``agdp_epochs`` are given.

    Raises:
        FileNotFoundError: If images, config or a checkpoint do not exist, one that the config itself names included.
        ValueError: If a setting does not fit, the config is not that of a detector that can be pretrained, or ``out``
            belongs to something else.
        RuntimeError: If a training on several devices fails.
    """
    listed = list_images(images, root, sources)
    found = read_detector(detector, downloads)
    start, bare_start = resolve_start(start, detector, found, strict, allow_partial)
    folder = RunFolder(out)
    maker = _teacher(teacher, device) if maps is None else None
    ranges = dict(value_range=value_range, value_percentiles=value_percentiles)
    loader = choose_loader(listed, maps or folder.path / 'maps', maps is not None, **ranges)
    settings = _settings(recipe, listed, **_labels(annotations, val_annotations, annotated_images, listed),
                         images=str(Path(images)), store=str(maps or folder.path / 'maps'), out=str(out), start=start,
                         bare_start=bare_start, image_root=None if root is None else str(Path(root)), devices=devices,
                         image_size=choose_image_size(listed) if image_size is None else image_size,
                         image_loader=loader)
    for file in (annotations, val_annotations):
        if file:
            check_labelled(loader, listed, file, settings.annotated_images)
            if found.masks is not None:
                check_outlines(file)
    identity = _identity(settings, found, listed, maker, amp, ranges)
    is_there = folder.check(identity, resume)
    making = _maps_config(settings, listed, sources, maker, ranges)
    found, configs = _derive(found, settings, amp, allow_partial)
    configs['maps'] = making
    paths, kept = _claim(folder, identity, settings if annotations else None, configs, found, keep=is_there,
                         asked=recipe)
    _say_what_was_chosen(settings, image_size is not None)
    _make_maps(paths, listed, None if maps else device or 'auto', [*found.notes, *_label_notes(settings), *kept])
    train_stages(folder, paths, listed, settings)
    return PretrainResult(folder.path / 'backbone.pth', folder.path / 'detector.pth', tuple(paths.values()),
                          Path(settings.store), try_to_write_run_page(folder.path))


def _say_what_was_chosen(settings: RecipeSettings, is_size_given: bool) -> None:
    print(f'image size: {settings.image_size} pixels{"" if is_size_given else ", chosen by the images (--image-size)"}')
    print(f'passes over {settings.num_images} images: {settings.agbp_epochs} in AGBP (--agbp-epochs), '
          f'{settings.agdp_epochs} in AGDP (--agdp-epochs)')


def _teacher(teacher: str | Mapping[str, Any], device: str | None) -> dict[str, Any]:
    """Its config; refuses what does not fit before anything is written."""
    maker = dict(teacher) if isinstance(teacher, Mapping) else dict(type=teacher)
    build_teacher(maker)
    choose_device(device)
    return maker


def _maps_config(settings: RecipeSettings, listed: ImageList, sources: Mapping[str, str] | None,
                 teacher: Mapping[str, Any] | None, ranges: Mapping[str, Any]) -> Config:
    """How the maps are made; without a teacher they have to be there."""
    if teacher is None:
        check_maps_of(listed, settings.store)
    return Config(dict(images=settings.images, image_root=settings.image_root, store=settings.store,
                       sources=dict(sources or {}) or None, teacher=teacher, batch_size=8, seed=settings.seed,
                       **ranges))


def _labels(annotations: Any, val_annotations: Any, annotated_images: Any,
            listed: ImageList) -> dict[str, Any]:
    if annotations is None:
        if val_annotations or annotated_images:
            raise ValueError('val_annotations and annotated_images go with annotations, which are not given')
        return {}
    classes = read_classes(annotations)
    if val_annotations:
        check_same_classes(annotations, val_annotations)
    found: dict[str, Any] = dict(
        classes=classes, train_annotations=str(annotations), num_labelled=count_images(annotations),
        with_sound_images=has_sound_images(annotations), annotated_images=str(annotated_images or listed.root),
        val_annotations=str(val_annotations or annotations))
    for file in dict.fromkeys((found['train_annotations'], found['val_annotations'])):
        check_images(file, found['annotated_images'])
        check_labels(file, is_measured_on=file == found['val_annotations'])
        check_files(file, found['annotated_images'])
    return found


def _settings(recipe: Mapping[str, Any], listed: ImageList, **chosen: Any) -> RecipeSettings:
    chosen.update(num_images=len(listed), held_out=min(_HELD_OUT, len(listed) // 10))
    known = set(RecipeSettings.__dataclass_fields__) - set(chosen)
    unknown = sorted(set(recipe) - known)
    if unknown:
        raise ValueError(f'unknown settings {unknown}; there are: {", ".join(sorted(known))}')
    passes = {name: choose_passes(getattr(RecipeSettings, name), len(listed)) for name in _PASSES
              if recipe.get(name) is None}
    settings = RecipeSettings(**{**recipe, **passes}, **chosen)
    build_rule(settings.rule)
    _check_devices(settings.devices)
    return settings


def _check_devices(devices: int) -> None:
    if torch.cuda.is_available() and devices > torch.cuda.device_count():
        raise ValueError(f'devices: {devices} asked for, but there are {torch.cuda.device_count()} GPUs')


def _identity(settings: RecipeSettings, detector: SourceDetector, listed: ImageList,
              teacher: Mapping[str, Any] | None, amp: bool, ranges: Mapping[str, Any]) -> dict[str, Any]:
    """What the results depend on; without a teacher on the maps that are there."""
    digest = hashlib.sha256(json.dumps(detector.config.to_dict(), sort_keys=True, default=str).encode()).hexdigest()
    kept = {key: value for key, value in asdict(settings).items() if key not in _FREE}
    finished = dict(maps=MapStore.open(settings.store).fingerprint()) if teacher is None else {}
    return dict(kept, **finished, version=__version__, detector=detector.name, detector_config=digest,
                image_list=listed.fingerprint(), teacher=teacher, amp=amp,
                **{name: list(pair) for name, pair in ranges.items() if pair})


def _derive(detector: SourceDetector, settings: RecipeSettings, amp: bool,
            allow_partial: bool) -> tuple[SourceDetector, dict[str, Config]]:
    """The configs of all trainings, and the detector with what there is to say about them."""
    facts, needs = inspect_backbone(detector), find_input_needs(detector, settings.image_size)
    reason, rounds = why_one_round(detector, needs), settings.agdp_rounds
    notes = (*detector.notes, *start_notes(detector, settings.start))
    if settings.epoch_parts > 1:
        notes = (*notes, f'a pass over {settings.num_images} images takes {settings.epoch_parts} epochs of the '
                         'trainings, so that a killed run loses no more than one of them')
    if settings.train_annotations == settings.val_annotations:
        notes = (*notes, 'the fine-tuning is measured on the very images that it trains on, which says little about '
                         'others; give val_annotations (--val-annotations)')
    if reason and rounds > 1:
        notes = (*notes, f'one round of AGDP in place of {rounds}: this detector cannot make the boxes of another, '
                         f'because {reason}')
        rounds = 1
    configs = dict(agbp=derive_agbp(detector, settings, facts, needs)) if settings.agbp_epochs else {}
    for number in range(1, 1 + rounds):
        configs[round_files(number)[0]] = derive_agdp(detector, settings, facts, needs, number)
    if amp:
        for config in configs.values():
            use_mixed_precision(config)
    if allow_partial:
        for config in configs.values():
            next(hook for hook in config.custom_hooks if hook['type'] == 'LoadReportHook')['allow_partial'] = True
    configs['finetune'] = derive_finetune(detector, settings, facts, needs)
    return replace(detector, notes=notes), configs


def _label_notes(settings: RecipeSettings) -> list[str]:
    """What there is to say about the labels: printed, and not written into the configs of stages that have none."""
    note = settings.num_labelled and small_box_note(settings.train_annotations, settings.image_size)
    return [note] if note else []


def _claim(folder: RunFolder, identity: Mapping[str, Any], labelled: RecipeSettings | None,
           configs: Mapping[str, Config], found: SourceDetector, keep: bool,
           asked: Mapping[str, Any]) -> tuple[dict[str, Path], list[str]]:
    """Make the folder this run's, and write its configs; also what there is to say about those that stay."""
    labels = None if labelled is None else {name: getattr(labelled, name) for name in _LABELS}
    paths = _write(configs, folder.path, found, keep, other_labels=folder.claim(identity, labels))
    return paths, kept_notes(paths, configs, asked) if keep else []


def _write(configs: Mapping[str, Config], folder: Path, detector: SourceDetector, keep: bool,
           other_labels: bool) -> dict[str, Path]:
    paths = {name: folder / f'{name}.py' for name in configs}
    titles = dict(maps='anomaly maps', agbp='stage 1 (AGBP)', agdp='stage 2 (AGDP)',
                  finetune='fine-tuning; set your COCO files (ann_file), images (data_prefix) and classes, or have it '
                           'written by agssp pretrain ... --annotations FILE')
    if other_labels and paths['finetune'].is_file():
        kept = unused_path(folder / 'finetune.py.old')
        os.replace(paths['finetune'], kept)
        print(f'note: finetune.py is written anew for other labels; the one before is kept as {kept}')
    for name, path in paths.items():
        title = titles.get(name, 'stage 2 (AGDP) once more, on what the detector of the round before finds')
        if not (keep and path.is_file()):
            write_config(configs[name], path, [f'{detector.name}: {title}', *detector.notes])
    return paths


def _make_maps(paths: Mapping[str, Path], listed: ImageList, device: str | None, notes: Sequence[str]) -> None:
    """Say what was changed in the detector; make the maps, unless they are there (no device), and their boxes."""
    for note in notes:
        print(f'note: {note}')
    if device is not None:
        print(f'1 of {1 + len(trainings(paths))}, anomaly maps: {paths["maps"]}', flush=True)
        print(generate_from_config(paths['maps'], None if device == 'auto' else device), flush=True)
    boxes = make_first_boxes(paths['agdp'], listed)
    if boxes is not None:
        print(f'{boxes} pseudo boxes', flush=True)
