"""Activation maps of a backbone before and after AGBP, on the same images."""
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn

from ...checkpoints.reading import read_checkpoint, weights_of
from ...maps.records import MapRecord
from ...maps.store import MapStore
from ...models.activation import activation_map, agreement, resize_map
from ...models.levels import as_levels, resolve_levels
from ...recipes.building import build
from ...recipes.reachability import drop_unreachable, loads_weights
from ..overlays import overlay_map
from .gallery import data_uri
from .inputs import model_input, plain_pipeline

_SIDE = 200


class ActivationRow(NamedTuple):
    """One image: its name, pictures with captions, all plain."""

    name: str
    panels: list[dict[str, Any]]


def draw_activations(config: Config, weights: Path, store: MapStore, image_root: Path,
                     records: Sequence[MapRecord]) -> tuple[list[ActivationRow], list[str]]:
    """Draw the activation maps of the distilled levels, each scaled to its own largest value.

    Args:
        config: Of stage 1.
        weights: ``backbone.pth``.
        store: The map store.
        image_root: Folder of the images.
        records: The images.

    Returns:
        Rows, and what has to be said about them.
    """
    notes: list[str] = []
    before, lost = _start(config)
    if lost:
        notes.append(f'The weights that stage 1 began with ({", ".join(lost)}) are not at hand, so only the activation '
                     'maps after it are shown.')
    elif not (loads_weights(config.model.to_dict()) or config.get('load_from')):
        notes.append('Stage 1 began with random weights; “before” is another draw of them.')
    after = _loaded(config, weights)
    models = {'after': after} if lost else {'before': before, 'after': after}
    rows = []
    for record in records:
        inputs, shape, image = model_input(after, plain_pipeline(config), image_root / record.name)
        anomaly = _on_input(store.read(record.name), shape, inputs.shape[-2:])
        with torch.no_grad():
            features = {when: as_levels(model.backbone(inputs)) for when, model in models.items()}
        panels = [dict(title='image', caption='', src=_picture(image)),
                  dict(title='anomaly map', caption='', src=_picture(overlay_map(image, store.read(record.name))))]
        for level in _levels(config, len(features['after'])):
            panels += [_panel(f'level {level}, {when}', levels[level], anomaly, shape, image)
                       for when, levels in features.items()]
        rows.append(ActivationRow(record.name, panels))
    return rows, notes


def _start(config: Config) -> tuple[nn.Module, list[str]]:
    """The model as stage 1 found it, and the checkpoints that cannot be had without a network."""
    described = config.model.to_dict()
    lost = drop_unreachable(described, downloads=False)
    model = build(described, config.get('default_scope', 'mmdet'))
    model.init_weights()
    if config.get('load_from'):
        if Path(config.load_from).is_file():
            model.load_state_dict(weights_of(read_checkpoint(config.load_from)), strict=False)
        else:
            lost.append(str(config.load_from))
    return model.eval(), lost


def _loaded(config: Config, weights: Path) -> nn.Module:
    described = config.model.to_dict()
    drop_unreachable(described, downloads=False)
    model = build(described, config.get('default_scope', 'mmdet'))
    model.load_state_dict(weights_of(read_checkpoint(weights)), strict=False)
    return model.eval()


def _levels(config: Config, count: int) -> tuple[int, ...]:
    hooks = [hook for hook in config.get('custom_hooks') or () if hook.get('type') == 'DistillationPretrainer']
    wanted = tuple(hooks[0].get('levels', (-2, -1))) if hooks else (-2, -1)
    return resolve_levels(wanted, count, 'the backbone')


def _panel(title: str, feature: Tensor, anomaly: Tensor, shape: tuple[int, int], image: np.ndarray) -> dict[str, Any]:
    activation = activation_map(feature)
    resized, valid = resize_map(anomaly, activation.shape[-2:])
    height, width = activation.shape[-2:]
    inside = activation[0, 0, :max(1, round(height * shape[0] / anomaly.shape[-2])),
                        :max(1, round(width * shape[1] / anomaly.shape[-1]))].numpy()
    value = float(agreement(activation, resized, valid)[0])
    caption = 'agreement not defined' if np.isnan(value) else f'agreement {value:+.2f}'
    return dict(title=title, caption=caption, src=_picture(overlay_map(image, inside / max(inside.max(), 1e-12), 0.7)))


def _on_input(anomaly_map: np.ndarray, shape: tuple[int, int], size: Sequence[int]) -> Tensor:
    """The map at the size of the network's input, (1, 1, H, W), NaN in the padding."""
    canvas = np.full(size, np.nan, np.float32)
    resized = cv2.resize(anomaly_map, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    canvas[:shape[0], :shape[1]] = np.clip(resized, 0, 1)
    return torch.from_numpy(canvas)[None, None]


def _picture(image: np.ndarray) -> str:
    scale = min(1.0, _SIDE / max(image.shape[:2]))
    return data_uri(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image)
