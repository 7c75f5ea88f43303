"""KeAD, the teacher of the paper: a frozen CLIP, texts about defects and, where there are, normal images."""
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from mmengine.registry import TASK_UTILS
from torch import Tensor
from torch.nn import functional as F

from agssp_mm.teachers.base import AnomalyMaps, Teacher
from agssp_mm.teachers.kead_cache import TensorCache
from agssp_mm.teachers.kead_classes import ClassChoice
from agssp_mm.teachers.kead_loading import load_clip
from agssp_mm.teachers.kead_normals import Normals, choose_normals
from agssp_mm.teachers.kead_references import References
from agssp_mm.teachers.kead_scores import anomaly_probability, few_shot_map, few_shot_score, text_map
from agssp_mm.teachers.prompts import TEMPLATES, build_prompts, check_slot, load_texts
from agssp_mm.teachers.tiling import Tiling, cut_tiles, predict_tiled
from agssp_mm.teachers.vv_attention import LevelPlan, TowerOutput, vv_features

_AMP = {None: None, 'bf16': torch.bfloat16, 'fp16': torch.float16}
_NORMALS_AT_ONCE = 8


class TruncatedPrompt(NamedTuple):
    """A prompt of which the text tower sees the start only."""

    class_name: str
    prompt: str
    num_tokens: int


class KeADOutput(NamedTuple):
    """All that KeAD makes of B images; P patches, U differing levels, D channels.

    Attributes:
        tower: Features, (U, B, 1 + P, D) and (B, D), not normalised.
        text_map: (B, P) in [0, 1].
        few_shot_map: (B, P) in [0, 1]; 0 for images of a class without normal images.
        zero_shot_score: (B,) in [0, 1].
        score: (B,) in [0, 1.5]; the zero-shot score for images of a class without normal images.
    """

    tower: TowerOutput
    text_map: Tensor
    few_shot_map: Tensor
    zero_shot_score: Tensor
    score: Tensor


@TASK_UTILS.register_module()
class KeADTeacher(Teacher):
    """Knowledge-enhanced anomaly detection (arXiv 2509.18919, KeAD in https://github.com/clovermini/AGSSP).

    Raw maps are a text-driven map in [0, 1] plus, with normal images, a few-shot map in [0, 1], on the patch
    grid of the model. Images are squashed to the square input of the model; ``tiles`` keeps their aspect
    ratio.

    Args:
        model: Name of an open_clip model with a plain vision transformer, or path of an open_clip model
            config (JSON).
        pretrained: Pretrained tag of the model, or path of a weights file.
        weights: File with the weights of that tag, fetched elsewhere; the tag then still says which activation and
            normalisation they were trained with.
        texts: Descriptions of classes: a JSON file in the authors' schema, or its content; default: those
            shipped. See :func:`agssp_mm.teachers.prompts.load_texts`.
        text_class: Class whose texts and normals stand for all images, or ``{source: class}``. Default: the
            only class, or ``generic_metal``. Sources without a class, or with ``None``, get the generic
            states alone.
        templates: Texts with one ``{}`` slot that every state is put into; default: those of the paper's
            code.
        normals: Normal images, in place of the ``samples`` of the texts: a folder, a list file, a list of
            paths, or ``{class: any of these}``.
        num_normals: Normal images to use per class, chosen by ``seed`` and content; default all, 0 for none.
        seed: Chooses the normal images.
        value_range: Grey values of deep normal images that become 0 and 255; give what the images are read
            with.
        surgery: ``'vv_res'`` (V-V attention with residual) or ``'vv'``.
        levels: ``'distinct'``, or ``'aliased'`` for maps as the published code makes them.
        feature_layers: Blocks (1-based) whose features are compared; default the quarters, 3 6 9 12 of 12.
        dpam_layer: The last ``dpam_layer - 1`` blocks have V-V attention; default 10 of 12.
        image_size: Side of the square input in pixels, for a finer grid; default that of the model.
        amp: ``'bf16'`` or ``'fp16'`` runs the vision tower under autocast.
        tiles: Side of overlapping square tiles in pixels, ``'short'``, or the arguments of
            :class:`agssp_mm.teachers.tiling.Tiling`.
        cache_dir: Folder that keeps text features and the memory of normal images, by content.
    """

    version = 1
    calibration_scale = 2.0

    def __init__(self, model: str = 'ViT-B-16-plus-240', pretrained: str = 'laion400m_e32', *,
                 texts: str | Path | Mapping[str, Any] | None = None,
                 text_class: str | Mapping[str, str | None] | None = None,
                 templates: Sequence[str] | None = None,
                 normals: Normals | Mapping[str, Normals] | None = None, num_normals: int | None = None,
                 seed: int = 0, value_range: tuple[float, float] | None = None, surgery: str = 'vv_res',
                 levels: str = 'distinct', feature_layers: Sequence[int] | None = None,
                 dpam_layer: int | None = None, image_size: int | None = None, amp: str | None = None,
                 tiles: int | str | Mapping[str, Any] | Tiling | None = None,
                 cache_dir: str | Path | None = None, weights: str | Path | None = None) -> None:
        if amp not in _AMP:
            raise ValueError(f'amp must be one of {list(_AMP)}, got {amp!r}')
        self._classes = ClassChoice.of(load_texts(texts), text_class)
        self.uses_sources = self._classes.by_source is not None
        self._templates = _check_templates(templates)
        self._tiling = Tiling.of(tiles)
        chosen = choose_normals(self._classes.texts, normals, num_normals, seed)
        self.clip = load_clip(str(model), str(pretrained), image_size, weights)
        self.plan = LevelPlan.of(self.clip.depth, feature_layers, dpam_layer, surgery, levels)
        self._amp, self._device = amp, torch.device('cpu')
        prompts = {name: build_prompts(known, self._templates) for name, known in self._classes.texts.items()}
        self.truncated_prompts = self._find_truncated(prompts)
        made_with = [asdict(self.plan), amp, self._tiling and self._tiling.to_dict()]
        self.references = References(self.clip, prompts, chosen, self._patches, made_with, value_range,
                                     TensorCache(cache_dir))
        self._settings = dict(
            model=str(model), pretrained=str(pretrained), normals=_plain(normals), num_normals=num_normals,
            seed=seed, text_class=_plain(text_class), value_range=_plain(value_range), surgery=surgery,
            levels=levels, image_size=image_size, amp=amp, **({} if weights is None else dict(weights=str(weights))))

    @property
    def settings(self) -> dict[str, Any]:
        """Constructor arguments that maps depend on; the texts in full, as what images were compared with."""
        texts = {name: known.to_dict() for name, known in self._classes.texts.items()}
        return dict(self._settings, texts=texts, templates=list(self._templates),
                    feature_layers=list(self.plan.layers), dpam_layer=self.plan.dpam_layer,
                    tiles=self._tiling and self._tiling.to_dict())

    def predict(self, images: Sequence[np.ndarray], sources: Sequence[str] | None = None) -> AnomalyMaps:
        """Score one batch.

        Args:
            images: (H, W, 3) uint8 BGR arrays; sizes may differ within the batch.
            sources: Source of each image; needed where ``text_class`` chooses by source.

        Raises:
            ValueError: If an image is not such an array, sources are missing,
                or the features are not finite.
        """
        for image in images:
            if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
                raise ValueError('KeADTeacher takes (H, W, 3) uint8 BGR images, got '
                                 f'{image.shape} {image.dtype}')
        names = self._classes.names(sources, len(images))
        if self._tiling is None:
            return self._maps(images, names)
        return predict_tiled(lambda tiles, owners: self._maps(tiles, [names[owner] for owner in owners]),
                             images, self._tiling)

    @torch.no_grad()
    def analyse(self, images: Sequence[np.ndarray], class_names: Sequence[str]) -> KeADOutput:
        """Everything behind the maps of images that are squashed whole, given the class of each."""
        tower = self._run_tower(images)
        tokens = F.normalize(tower.tokens[:, :, 1:].float(), dim=-1)
        directions = torch.stack([self.references.directions(name) for name in class_names])
        text = text_map(tokens, directions, self.plan.level_weights)
        zero_shot = anomaly_probability(F.normalize(tower.embedding.float(), dim=-1), directions)
        few_shot, score = torch.zeros_like(text), zero_shot.clone()
        for name in sorted(set(class_names)):
            memory = self.references.memory(name)
            if memory is not None:
                rows = [row for row, other in enumerate(class_names) if other == name]
                few_shot[rows] = few_shot_map(tokens[:, rows], memory, self.plan.level_weights)
                score[rows] = few_shot_score(zero_shot[rows], text[rows] + few_shot[rows])
        return KeADOutput(tower, text, few_shot, zero_shot, score)

    def to(self, device: str | torch.device) -> Self:
        self._device = torch.device(device)
        self.clip.model.to(self._device)
        self.references.to(self._device)
        return self

    def state_dict(self) -> dict[str, Tensor]:
        """Text features and memories of normal images: with them, neither has to be made again."""
        return self.references.state_dict()

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore what :meth:`state_dict` gave.

        Raises:
            ValueError: If it was made with other settings.
        """
        self.references.load_state_dict(state)

    def _maps(self, images: Sequence[np.ndarray], class_names: Sequence[str]) -> AnomalyMaps:
        output = self.analyse(images, class_names)
        maps = (output.text_map + output.few_shot_map).cpu().numpy()
        if not np.isfinite(maps).all():
            raise ValueError('the features of the vision tower are not finite; the weights are damaged, or '
                             f"amp={self._amp!r} overflows: try amp='bf16' or no amp")
        return AnomalyMaps(list(maps.reshape(-1, *self.clip.grid_size)), output.score.cpu().numpy())

    def _run_tower(self, images: Sequence[np.ndarray]) -> TowerOutput:
        batch = self.clip.preprocess(images).to(self._device)
        with self._autocast():
            return vv_features(self.clip.model.visual, batch, self.plan)

    def _autocast(self) -> AbstractContextManager:
        return torch.autocast(self._device.type, _AMP[self._amp]) if self._amp else nullcontext()

    @torch.no_grad()
    def _patches(self, images: Iterable[np.ndarray]) -> Iterator[Tensor]:
        if self._tiling is not None:
            images = cut_tiles(images, replace(self._tiling, overlap=0.0))
        images = iter(images)
        while batch := list(islice(images, _NORMALS_AT_ONCE)):
            yield F.normalize(self._run_tower(batch).tokens[:, :, 1:].float(), dim=-1).flatten(1, 2)

    def _find_truncated(self, prompts: Mapping[str, Any]) -> list[TruncatedPrompt]:
        length = {prompt: self.clip.prompt_length(prompt)
                  for sets in prompts.values() for prompt in (*sets.normal, *sets.anomalous)}
        limit = self.clip.context_length
        found = [TruncatedPrompt(name, prompt, length[prompt]) for name, sets in prompts.items()
                 for prompt in dict.fromkeys((*sets.normal, *sets.anomalous)) if length[prompt] > limit]
        if found:
            shown = '; '.join(f'{name}: {prompt!r} ({number} tokens)' for name, prompt, number in found[:5])
            logging.getLogger(__name__).warning(
                '%d of %d prompts are longer than the %d tokens of the text tower and lose their end: %s%s. '
                'Shorten the texts; all are in KeADTeacher.truncated_prompts', len(found), len(length), limit,
                shown, '; ...' if len(found) > 5 else '')
        return found


def _check_templates(templates: Sequence[str] | None) -> tuple[str, ...]:
    if templates is None:
        return TEMPLATES
    if isinstance(templates, str) or not templates:
        raise ValueError(f'templates must be a list of texts with one {{}} slot each, got {templates!r}')
    return tuple(check_slot(template, f'templates[{index}]') for index, template in enumerate(templates))


def _plain(value: Any) -> Any:
    """Paths, tuples and mappings as JSON values."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return str(value) if isinstance(value, Path) else value
