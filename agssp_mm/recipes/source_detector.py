"""The detector that a user wants to pretrain, read from any MMDetection 3.x config."""
import difflib
from dataclasses import dataclass, field
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.registry import HOOKS
from mmengine.utils import get_installed_path, is_installed

from .._dependencies import import_optional
from ..engine.config_files import parse_config
from .branches import (drop_semantic_branches, give_norms_an_epsilon, inline_teachers, mask_loading, needs_proposals,
                       needs_texts, replace_grouped_norms)
from .building import model_class
from .classes import count_classes
from .reachability import drop_unreachable

#: What a data preprocessor does to grey values.
NORMALISATION = ('mean', 'std', 'bgr_to_rgb', 'rgb_to_bgr')


@dataclass(frozen=True)
class SourceDetector:
    """What the recipes need to know of a user's config.

    Attributes:
        name: Of the config, without its suffix.
        model: Config of the detector alone: out of a semi-supervised wrapper, without semantic branches and without
            initial weights that cannot be reached.
        config: The whole config as it was read.
        scope: Registry scope of its types.
        notes: What was changed in ``model``, for people.
        masks: Settings of LoadAnnotations where the detector learns masks, else None.
    """

    name: str
    model: dict = field(repr=False)
    config: Config = field(repr=False)
    scope: str = 'mmdet'
    notes: tuple[str, ...] = ()
    masks: dict | None = None

    @property
    def num_classes(self) -> int | None:
        """Number of classes of the config as it was read; None if it has none."""
        return count_classes(self.model)

    @property
    def needs_proposals(self) -> bool:
        """Whether it judges proposals of another model; see `agssp_mm.recipes.branches.needs_proposals`."""
        return needs_proposals(self.model)

    @property
    def needs_texts(self) -> bool:
        """Whether it is told the names of the classes; see `agssp_mm.recipes.branches.needs_texts`."""
        return needs_texts(self.model)


def read_detector(source: str | Path | Config, downloads: bool | None = None) -> SourceDetector:
    """Read a detector's config and check that it can be pretrained.

    Args:
        source: Path of a config, a name such as ``mmdet::retinanet/retinanet_r50_fpn_1x_coco.py``, or a Config.
        downloads: Whether initial weights may be fetched from the network; None tries.

    Raises:
        FileNotFoundError: If there is no such config.
        ValueError: If it is no config, or not that of a detector with a backbone of a known type.
    """
    config = _load(source)
    name = Path(config.filename).stem if config.filename else 'detector'
    scope = config.get('default_scope') or 'mmdet'
    model = config.get('model')
    if not isinstance(model, ConfigDict) or not model.get('type'):
        raise ValueError(f'{name} is not the config of a detector: it has no `model` with a `type`')
    model = model.to_dict()
    preprocessor = config.get('data_preprocessor')
    if preprocessor:
        model.setdefault('data_preprocessor', preprocessor.to_dict())
    notes = []
    inner = model.get('detector')
    if 'backbone' not in model and isinstance(inner, dict) and inner.get('type') and 'backbone' in inner:
        notes.append(f'the detector inside {model["type"]} is pretrained alone')
        model = _alone(inner, model)
    _check(model, name, scope)
    notes += drop_semantic_branches(model, scope)
    notes += inline_teachers(model, Path(get_installed_path('mmdet')) / '.mim')
    notes += replace_grouped_norms(model)
    notes += give_norms_an_epsilon(model)
    if needs_proposals(model):
        notes.append('it judges proposals of another model: stage 2 makes them round the pseudo boxes, the pipelines '
                     'of the fine-tuning must load yours (LoadProposals)')
    unreachable = drop_unreachable(model, downloads)
    if unreachable:
        notes.append(f'{len(unreachable)} initial weights left out, because they cannot be reached here: '
                     f'{", ".join(unreachable)}')
    return SourceDetector(name, model, config, scope, tuple(notes), mask_loading(config))


def _alone(inner: dict, wrapper: dict) -> dict:
    """The detector of a wrapper, with the normalisation of that where it has none of its own, as in trackers."""
    outer = wrapper.get('data_preprocessor') or {}
    outer = outer.get('data_preprocessor') or outer  # one for several branches holds another
    if inner.get('data_preprocessor') or not outer:
        return inner
    kept = {key: outer[key] for key in (*NORMALISATION, 'pad_size_divisor', 'pad_mask') if key in outer}
    return dict(inner, data_preprocessor=dict(type='DetDataPreprocessor', **kept))


def _check(model: dict, name: str, scope: str) -> None:
    import_optional('mmdet', 'pretraining a detector', 'onedl-mmdetection>=3.0,<4')
    from mmdet.models.detectors.base import BaseDetector
    cls = model_class(model, scope, f'model in {name}')
    if not issubclass(cls, BaseDetector):
        raise ValueError(f'{name} is not the config of a detector: its model is a {cls.__name__}; give one of '
                         'MMDetection, such as mmdet::rtmdet/rtmdet_s_8xb32-300e_coco.py')
    backbone = model.get('backbone')
    if not isinstance(backbone, dict):
        raise ValueError(f'{name} has no backbone: model.backbone is {backbone!r}, and there is nothing to pretrain')
    model_class(backbone, scope, f'backbone in {name}')
    with HOOKS.switch_scope_and_registry(scope) as registry:
        if registry.get('DetVisualizationHook') is None:
            raise ValueError(f"{name} has default_scope='{scope}', where MMDetection's types, of which the stages are "
                             f"made, are not found; give it default_scope='mmdet' and the types of {scope} their "
                             f"prefix, such as type='{scope}.{model['type'].rsplit('.', 1)[-1]}'")


def _load(source: str | Path | Config) -> Config:
    if isinstance(source, Config):
        return source
    path = _installed(str(source)) if '::' in str(source) else Path(source)
    if not path.is_file():
        raise FileNotFoundError(f'detector: there is no config {source}; {_near(path)}')
    if path.suffix not in ('.py', '.yml', '.yaml', '.json'):
        raise ValueError(f'detector: {source} ends in "{path.suffix}"; a config is a .py, .yml, .yaml or .json file')
    config = parse_config(path, 'detector')
    # A config written with imports holds classes; as plain text it names them, like any other.
    return Config(config.to_dict(), filename=str(path))


def _installed(source: str) -> Path:
    package, name = source.split('::', 1)
    if not is_installed(package):
        raise FileNotFoundError(f'detector: {source} is in {package}, which is not installed')
    path = Path(get_installed_path(package)) / '.mim' / 'configs' / name
    return path if path.suffix == '.py' else path.with_name(f'{path.name}.py')


def _near(path: Path) -> str:
    folder = path.parent if path.parent.is_dir() else path.parent.parent
    names = {one.stem: one for one in folder.glob('*.py' if path.parent.is_dir() else '*/*.py')}
    near = difflib.get_close_matches(path.stem, names, 3)
    where = f'close to it are {", ".join(f"{names[one].parent.name}/{one}.py" for one in near)}' if near else ''
    return where or 'give the path of a config, or package::folder/name.py'
