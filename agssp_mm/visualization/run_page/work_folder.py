"""What kind of folder a run left, and where its parts lie."""
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ...maps.store import META_NAME
from ...recipes.run_folder import RECORD

_DEMO_PARTS = ('steps', 'data')
STAGES = {'agbp': 'Stage 1, AGBP', 'agdp': 'Stage 2, AGDP', 'finetune': 'Fine-tuning', 'training': 'Training'}


@dataclass(frozen=True)
class Stage:
    """One training: its name (a key of ``STAGES``), its folder, and its config where that can be read."""

    name: str
    folder: Path
    config: Config | None


@dataclass
class WorkFolder:
    """The parts of a run, as far as they are there.

    Attributes:
        path: The folder itself.
        kind: "map store", "pretraining", "training" or "demo".
        store: Folder of the map store; None where the run names none.
        images: Folder or list of the images of the pretraining; None where the run names none.
        image_root: Folder that the image names are relative to; None where it is not known.
        rule: Config of the box rule of stage 2; None where there is no such config.
        per_image: Boxes per image that stage 2 keeps of those that the rule makes; None: all.
        annotations: COCO JSON of true boxes that the run itself brings (the demo does).
        stages: Trainings, in the order in which they run.
        weights: Name of an exported checkpoint -> its file; only those that exist.
        results: Files with results of the transfer benchmark.
        problems: What could not be read, in words.
    """

    path: Path
    kind: str
    store: Path | None = None
    images: Path | None = None
    image_root: Path | None = None
    rule: dict[str, Any] | None = None
    per_image: float | None = None
    annotations: Path | None = None
    stages: list[Stage] = field(default_factory=list)
    weights: dict[str, Path] = field(default_factory=dict)
    results: list[Path] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def stage(self, name: str) -> Stage | None:
        """The stage of this name, if it was started."""
        return next((stage for stage in self.stages if stage.name == name), None)


def find_work_folder(path: str | Path) -> WorkFolder:
    """Tell what a folder holds.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it is a file, or no folder of a run.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f'there is no folder {path}; give the folder of a run')
    if not path.is_dir():
        raise ValueError(f'{path} is a file; give the folder of a run')
    if (path / META_NAME).is_file():
        return WorkFolder(path, 'map store', store=path)
    if (path / RECORD).is_file():
        found = _pretraining(path)
    elif all((path / part).is_dir() for part in _DEMO_PARTS):
        found = _demo(path)
    elif any(_log_folders(path)):
        found = _training(path)
    else:
        raise ValueError(f'{path} is no folder of a run: it has neither {META_NAME} (a map store), nor {RECORD} (agssp '
                         'pretrain), nor logs of a training (work_dir of tools/train.py), nor the folders of the demo '
                         f'({", ".join(_DEMO_PARTS)})')
    found.results = sorted({*path.glob('*.jsonl'), *path.glob('results/*.jsonl'), *path.glob('transfer/*.jsonl')})
    return found


def _pretraining(path: Path) -> WorkFolder:
    found = WorkFolder(path, 'pretraining', store=path / 'maps')
    without = ('agbp', ) if json.loads((path / RECORD).read_text(encoding='utf-8')).get('agbp_epochs') == 0 else ()
    for name in (stage for stage in ('agbp', 'agdp', 'finetune') if stage not in without):
        config = read_config(path / f'{name}.py', found.problems)
        if (path / name).is_dir():
            found.stages.append(Stage(name, path / name, config))
        if config is not None:
            _learn_from(config, found, is_truth=name == 'agdp')
    for name, file in (('backbone', 'backbone.pth'), ('detector', 'detector.pth')):
        _add_weights(found, name, path / file)
    return found


def _demo(path: Path) -> WorkFolder:
    found = WorkFolder(path, 'demo', store=path / 'maps', image_root=path / 'data' / 'images')
    annotations = path / 'data' / 'annotations' / 'train.json'
    found.annotations = annotations if annotations.is_file() else None
    for name in ('agbp', 'agdp'):
        if (path / name).is_dir():
            found.stages.append(Stage(name, path / name, _config_of(path / name, found.problems)))
            if found.stages[-1].config is not None:
                _learn_from(found.stages[-1].config, found, is_truth=False)
    found.stages += [Stage('finetune', folder, _config_of(folder, found.problems))
                     for folder in sorted(path.glob('finetune/seed*'))[:1]]
    _add_weights(found, 'backbone', path / 'agbp' / 'backbone.pth')
    _add_weights(found, 'detector', path / 'agdp' / 'detector.pth')
    return found


def _training(path: Path) -> WorkFolder:
    found = WorkFolder(path, 'training')
    config = _config_of(path, found.problems)
    _add_weights(found, 'backbone', path / 'backbone.pth')
    _add_weights(found, 'detector', path / 'detector.pth')
    if config is None:
        found.stages = [Stage('training', path, None)]
        return found
    _learn_from(config, found, is_truth=True)
    hooks = [hook.get('type') for hook in config.get('custom_hooks') or ()]
    name = 'agbp' if 'DistillationPretrainer' in hooks else 'agdp' if found.rule else 'training'
    found.stages = [Stage(name, path, config)]
    return found


def _add_weights(found: WorkFolder, name: str, path: Path) -> None:
    if path.is_file():
        found.weights[name] = path


def _config_of(folder: Path, problems: list[str]) -> Config | None:
    """The config that MMEngine left in a work_dir."""
    dumped = sorted(folder.glob('*/vis_data/config.py'))
    if not dumped:
        problems.append(f'{folder}: no training has begun there yet (no config in its logs)')
        return None
    return read_config(dumped[-1], problems)


def read_config(path: Path, problems: list[str]) -> Config | None:
    """A config of the run; None, and a line among the problems, where it cannot be read."""
    try:
        return Config.fromfile(path)
    except FileNotFoundError:
        problems.append(f'{path} is missing')
    except Exception as error:  # noqa: BLE001 - a config is code: whatever it raises, the rest can be shown
        problems.append(f'{path} cannot be read ({type(error).__name__}: {error})')
    return None


def _learn_from(config: Config, found: WorkFolder, is_truth: bool) -> None:
    """Take store, images and rule from the data set of a stage."""
    dataset = pseudo_box_dataset(config.get('train_dataloader') or {})
    if dataset is None:
        return
    root = dataset.get('data_root') or ''
    if is_truth or found.store is None:
        found.store = Path(dataset['store'])
    images = Path(root) / dataset['images']
    of_list = images.parent if images.is_file() or images.suffix in ('.json', '.txt') else images
    named = Path(root) / dataset['image_root'] if dataset.get('image_root') else of_list
    found.images, found.image_root = found.images or images, found.image_root or named
    found.rule = dict(dataset['rule']) if dataset.get('rule') else found.rule
    found.per_image = dataset.get('per_image') or found.per_image


def pseudo_box_dataset(part: Any) -> dict[str, Any] | None:
    """The config of the PseudoBoxDataset inside a data loader, wrappers looked through."""
    if isinstance(part, (list, tuple)):
        return next((found for found in map(pseudo_box_dataset, part) if found), None)
    if not isinstance(part, dict):
        return None
    if str(part.get('type', '')).endswith('PseudoBoxDataset'):
        return part
    return next((found for found in map(pseudo_box_dataset, part.values()) if found), None)


def _log_folders(path: Path) -> Iterator[Path]:
    """Folders named after the time when a training began."""
    return (folder for folder in path.glob('*_*/') if any(folder.glob('*.log')) or (folder / 'vis_data').is_dir())
