"""The three stages of the pretraining as configs, derived from a detector's own."""
import copy
import math
from pathlib import Path
from typing import Any

from mmengine.config import Config

from .backbone_facts import BackboneFacts, freezes_late, inspect_backbone
from .building import without_weights
from .classes import set_num_classes
from .initial_values import init_what_nothing_sets
from .input_needs import InputNeeds, find_input_needs
from .pipelines import agbp_pipelines, agdp_pipelines, finetune_pipelines
from .reachability import drop_weights, loads_weights
from .rounds import round_files
from .runtime import loader, runtime
from .schedule import agbp_optimizer, detector_optimizer, short_schedule
from .settings import RecipeSettings
from .source_detector import NORMALISATION, SourceDetector
from .training_hooks import move_hooks, needs_mix_dataset

#: Pixels of its shorter side that an image keeps at least when its longer one is scaled to ``image_size``.
_LEAST_SIDE = 4


def derive_agbp(detector: SourceDetector, settings: RecipeSettings, facts: BackboneFacts | None = None,
                needs: InputNeeds | None = None) -> Config:
    """Stage 1: distilling the anomaly maps into the detector's backbone.

    The two coarsest levels are distilled; where the backbone starts from weights and can freeze, its first two stages
    rest (AGSSP, arXiv 2509.18919). Without weights nothing is frozen: there would be nothing to keep.

    Args:
        detector: The user's detector.
        settings: Of the run.
        facts: Of its backbone, if known already.
        needs: Of its input, if known already.

    Returns:
        A config for MMEngine's runner. It writes ``backbone.pth``.

    Raises:
        ValueError: If the backbone cannot be pretrained.
    """
    facts = facts or inspect_backbone(detector)
    needs = needs or find_input_needs(detector, settings.image_size)
    backbone, has_weights = _starting_backbone(detector, settings)
    backbone.update(facts.stem_frozen if has_weights and facts.stem_frozen else facts.nothing_frozen)
    if settings.devices > 1 and backbone.get('with_cp'):
        backbone['with_cp'] = False  # DDP looks for unused parameters here, which hides those of checkpointed parts
    size = _rounded(settings.image_size, needs)
    train, val = agbp_pipelines(size, settings.image_loader, dict(
        type='AnomalyMapGenerator', store=settings.store, image_root=_image_root(settings)))
    dataset = _images(settings, held_out=settings.held_out)
    rest = settings.num_images and settings.num_images - settings.held_out
    # A last small batch would disturb the statistics of batch norms. Of a small set it stays, or nothing might be left:
    # images that could not be read are listed, but are no part of the set.
    drop_last = not rest or 2 * settings.batch_size <= rest // settings.devices
    batch_size, steps = _steps(settings.batch_size, settings, rest, settings.agbp_epochs, drop_last)
    epochs = settings.agbp_epochs * settings.epoch_parts
    config = dict(
        runtime(detector, settings, 'agbp'),
        model=dict(type='BackbonePretrainer', backbone=backbone, data_preprocessor=_preprocessor(detector, needs)),
        train_dataloader=loader(dict(dataset, pipeline=train), settings, batch_size, drop_last=drop_last,
                                parts=settings.epoch_parts),
        train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=epochs, val_interval=epochs),
        optim_wrapper=agbp_optimizer(settings.agbp_lr),
        param_scheduler=short_schedule(epochs, steps),
        custom_hooks=[dict(type='LoadReportHook'), dict(type='DistillationPretrainer', levels=facts.levels)],
        # Levels that are not distilled leave weights without gradient.
        find_unused_parameters=True)
    if settings.held_out:
        held_out = loader(dict(dataset, test_mode=True, pipeline=val), settings, batch_size, shuffle=False)
        config.update(val_dataloader=held_out, val_evaluator=dict(type='MapAgreement'), val_cfg=dict(type='ValLoop'))
    if settings.has_start_file:
        config['load_from'] = settings.start
        config['custom_hooks'] = [*_start_hooks(settings), *config['custom_hooks']]
    return Config(config)


def derive_agdp(detector: SourceDetector, settings: RecipeSettings, facts: BackboneFacts | None = None,
                needs: InputNeeds | None = None, round_number: int = 1) -> Config:
    """Stage 2: training the detector on pseudo boxes of the one class ``anomaly``.

    The backbone learns too, with its batch statistics kept where it started from weights; ``freeze_backbone`` is the
    paper's way, which measured worse (docs/research.md).
    Masks of the same components come along where the detector learns masks. Optimizer and hooks are the config's own,
    moved to the short schedule.

    Args:
        detector: The user's detector.
        settings: Of the run.
        facts: Of its backbone, if known already.
        needs: Of its input, if known already.
        round_number: From 2 on the boxes are those that the detector of the round before found, see
            :func:`~agssp_mm.recipes.rounds.round_files`.

    Returns:
        A config for MMEngine's runner. It starts from ``backbone.pth``, without stage 1 from the weights that the
        detector starts from, and writes ``detector.pth``.
    """
    facts = facts or inspect_backbone(detector)
    needs = needs or find_input_needs(detector, settings.image_size)
    model = _detector_model(detector, settings, needs, num_classes=1)
    load_from, has_weights, hooks = _start_agdp(model, detector, settings)
    kept_statistics: list[dict] = []
    if not has_weights:
        model['backbone'].update(facts.nothing_frozen)  # there is nothing to keep
    if settings.freeze_backbone:
        if facts.all_frozen is not None:
            model['backbone'].update(facts.all_frozen)
        else:
            more = dict(norms_only=True) if facts.is_branched else {}
            hooks.append(dict(type='FreezeHook', modules=('backbone', ), **more))
    elif facts.has_batch_norm and has_weights:
        kept_statistics.append(dict(type='NormEvalHook'))  # batches are small
    usual, plain = agdp_pipelines(_rounded(settings.image_size, needs), settings.image_loader, detector.masks,
                                  needs.fixed, detector.needs_proposals, detector.needs_texts,
                                  settings.paste_defects)
    batch_size, steps = _steps(settings.detector_batch_size, settings, settings.num_images, settings.agdp_epochs)
    epochs = settings.agdp_epochs * settings.epoch_parts
    moved = move_hooks(detector.config, epochs, steps, plain)
    stage, boxes = round_files(round_number)
    made = dict(rule=settings.rule) if boxes is None else dict(boxes=str(Path(settings.out) / boxes))
    dataset = _images(settings, **made, with_mask=detector.masks is not None,
                      filter_cfg=dict(filter_empty_gt=True), pipeline=usual, **_texts(detector))
    config = dict(
        runtime(detector, settings, stage),
        model=model,
        train_dataloader=loader(_mixable(dataset, moved), settings, batch_size, parts=settings.epoch_parts),
        train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=epochs),
        optim_wrapper=detector_optimizer(detector.config, batch_size * settings.devices, settings.agdp_lr),
        param_scheduler=short_schedule(epochs, steps),
        custom_hooks=[*moved, *hooks, *kept_statistics, dict(type='NumClassCheckHook'), dict(type='LoadReportHook'),
                      dict(type='DetectorExportHook')],
        load_from=load_from,
        find_unused_parameters=any(hook['type'] == 'FreezeHook' for hook in hooks) or _has_unused(detector, model))
    return Config(config)


def derive_finetune(detector: SourceDetector, settings: RecipeSettings, facts: BackboneFacts | None = None,
                    needs: InputNeeds | None = None) -> Config:
    """Stage 3: fine-tuning on labelled images, from ``detector.pth``.

    The backbone keeps the batch statistics of the pretraining: those of few labelled images in small batches measured
    worse (docs/research.md).

    Args:
        detector: The user's detector.
        settings: Of the run, with the labelled images.
        facts: Of its backbone, if known already.
        needs: Of its input, if known already.

    Returns:
        A config for MMEngine's runner: the detector with the user's classes. The checkpoint that measured best is
        kept beside the last ones.
    """
    facts = facts or inspect_backbone(detector)
    needs = needs or find_input_needs(detector, settings.image_size)
    model = _detector_model(detector, settings, needs, num_classes=len(settings.classes))
    if not _starting_backbone(detector, settings)[1]:
        model['backbone'].update(facts.nothing_frozen)  # stages that rest would be those of a short pretraining
    kept_statistics = [dict(type='NormEvalHook')] if facts.has_batch_norm else []
    original = detector.config.get('test_dataloader')
    train, test = finetune_pipelines(_rounded(settings.image_size, needs), settings.image_loader, detector.masks,
                                     needs.fixed, original, detector.needs_texts, settings.with_sound_images)
    epochs = settings.finetune_epochs
    batch_size, steps = _steps(settings.detector_batch_size, settings, settings.num_labelled, epochs)
    moved = move_hooks(detector.config, epochs, steps, train)
    common = dict(type='CocoDataset', metainfo=dict(classes=tuple(settings.classes)),
                  data_prefix=dict(img=settings.annotated_images), **_texts(detector))
    dataset = dict(common, ann_file=settings.train_annotations, filter_cfg=dict(filter_empty_gt=False),
                   pipeline=train)
    held_out = loader(dict(common, ann_file=settings.val_annotations, test_mode=True, pipeline=test), settings,
                      batch_size, shuffle=False)
    metric = dict(type='CocoMetric', ann_file=settings.val_annotations,
                  metric=['bbox', 'segm'] if detector.masks else 'bbox')
    shared = runtime(detector, settings, 'finetune')
    shared['default_hooks']['checkpoint']['save_best'] = 'coco/bbox_mAP'
    return Config(dict(
        shared,
        model=model,
        train_dataloader=loader(_mixable(dataset, moved), settings, batch_size),
        val_dataloader=held_out, test_dataloader=copy.deepcopy(held_out),
        val_evaluator=metric, test_evaluator=dict(metric),
        val_cfg=dict(type='ValLoop'), test_cfg=dict(type='TestLoop'),
        train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=epochs, val_interval=max(epochs // 10, 1)),
        optim_wrapper=detector_optimizer(detector.config, batch_size * settings.devices, None),
        param_scheduler=short_schedule(epochs, steps),
        custom_hooks=[*moved, *kept_statistics, dict(type='NumClassCheckHook'), dict(type='LoadReportHook')],
        load_from=str(Path(settings.out) / 'detector.pth'),
        find_unused_parameters=_has_unused(detector, model)))


def _starting_backbone(detector: SourceDetector, settings: RecipeSettings) -> tuple[dict, bool]:
    """The backbone with the weights that the pretraining starts from, and whether there are any."""
    backbone = copy.deepcopy(detector.model['backbone'])
    if settings.start == 'none' or settings.has_start_file:
        backbone = without_weights(backbone)
    has_weights = settings.has_start_file or loads_weights(backbone)
    if not (has_weights or backbone.get('init_cfg')):  # one that draws numbers stays
        backbone['init_cfg'] = init_what_nothing_sets(without_weights(backbone), detector.scope)
    return backbone, has_weights


def _start_agdp(model: dict, detector: SourceDetector,
                settings: RecipeSettings) -> tuple[str | None, bool, list[dict]]:
    """Have the model of stage 2 start from what it should.

    Returns:
        What the runner loads, whether the pretraining began with weights, so that stages and statistics may rest, and
        hooks.
    """
    starting, has_weights = _starting_backbone(detector, settings)
    if not settings.agbp_epochs:
        model['backbone'] = starting
        return settings.start if settings.has_start_file else None, has_weights, _start_hooks(settings)
    trained = str(Path(settings.out) / 'backbone.pth')
    if settings.has_start_file and not settings.bare_start:  # neck and head of one, backbone of the other
        return settings.start, has_weights, [dict(type='BackboneStartHook', checkpoint=trained)]
    return trained, has_weights, []


def _start_hooks(settings: RecipeSettings) -> list[dict]:
    return [dict(type='BackboneStartHook')] if settings.bare_start else []


def _detector_model(detector: SourceDetector, settings: RecipeSettings, needs: InputNeeds, num_classes: int) -> dict:
    model = copy.deepcopy(detector.model)
    if settings.start == 'none' or settings.has_start_file:
        drop_weights(model)
    elif loads_weights(dict(init_cfg=model.get('init_cfg'))):
        model['init_cfg'] = None  # of the whole detector: it would be loaded over the backbone of stage 1
    set_num_classes(model, num_classes)
    model['backbone']['init_cfg'] = None
    if model['backbone'].get('pretrained'):
        model['backbone']['pretrained'] = False if model['backbone']['pretrained'] is True else None
    own = dict(model.get('data_preprocessor') or dict(type='DetDataPreprocessor'))
    # Sizes of batch augmentations are those of everyday photographs.
    model['data_preprocessor'] = dict(own, batch_augments=None, pad_size_divisor=needs.divisor)
    return model


def _has_unused(detector: SourceDetector, model: dict) -> bool:
    return detector.config.get('find_unused_parameters') or freezes_late(model['backbone'], detector.scope)


def _preprocessor(detector: SourceDetector, needs: InputNeeds) -> dict:
    own = detector.model.get('data_preprocessor') or {}
    return dict(type='DetDataPreprocessor', **{key: own[key] for key in NORMALISATION if key in own},
                pad_size_divisor=math.lcm(32, needs.divisor), pad_seg=True)


def _images(settings: RecipeSettings, **more: Any) -> dict:
    return dict(type='PseudoBoxDataset', images=settings.images, store=settings.store,
                image_root=settings.image_root, max_ratio=settings.image_size / _LEAST_SIDE, **more)


def _texts(detector: SourceDetector) -> dict:
    return dict(return_classes=True) if detector.needs_texts else {}


def _image_root(settings: RecipeSettings) -> str:
    if settings.image_root:
        return settings.image_root
    images = Path(settings.images)
    is_list = images.is_file() or images.suffix and not images.is_dir()
    return str(images.parent if is_list else images)


def _mixable(dataset: dict, hooks: list[dict]) -> dict:
    return dict(type='MultiImageMixDataset', dataset=dataset, pipeline=[]) if needs_mix_dataset(hooks) else dataset


def _rounded(image_size: int, needs: InputNeeds) -> int:
    divisor = math.lcm(32, needs.divisor)
    return -(-image_size // divisor) * divisor


def _steps(batch_size: int, settings: RecipeSettings, num_images: int | None, epochs: int,
           drop_last: bool = False) -> tuple[int, int | None]:
    """Batch size, no larger than the set, and number of steps of a whole training."""
    if not num_images:
        return batch_size, None
    share = max(num_images // settings.devices, 1)
    batch_size = min(batch_size, share)
    return batch_size, epochs * (share // batch_size if drop_last else math.ceil(share / batch_size))
