"""What the page shows of the trainings: curves, load reports, activation maps, detections."""
import logging
from collections.abc import Mapping
from typing import Any

from ...maps.box_quality import TrueBoxes
from ...maps.store import MapStore
from .activations import draw_activations
from .charts import line_chart
from .held_out import held_out_records
from .predictions import draw_predictions, find_held_out
from .quiet import quiet_logger
from .training_logs import TrainingLog, read_log
from .work_folder import STAGES, WorkFolder, pseudo_box_dataset

_NUM_ACTIVATIONS, _NUM_PREDICTIONS = 4, 8
_CURVES = (('loss', 'Losses', 'step', 'loss'), ('lr', 'Learning rate', 'step', 'rate'),
           ('agreement', 'Agreement with the maps', 'step', 'correlation'),
           ('held-out agreement', 'Agreement, held-out images', 'epoch', 'correlation'),
           ('metric', 'Validation', 'epoch', 'metric'))
_logger = logging.getLogger(__name__)


def training_section(folder: WorkFolder, store: MapStore | None, truth: Mapping[str, TrueBoxes]) -> dict[str, Any]:
    """Curves of every stage, and the pictures that its checkpoints allow; None for what is not there yet."""
    stages = []
    for stage in folder.stages:
        log = read_log(stage.folder)
        folder.problems += log.problems
        stages.append(dict(title=STAGES[stage.name], charts=_charts(log), loads=log.loads))
    return dict(stages=stages, activations=_activations(folder, store), predictions=_predictions(folder, store, truth))


def _charts(log: TrainingLog) -> list[dict[str, Any]]:
    charts = []
    for kind, title, x_title, y_title in _CURVES:
        curves = log.group(kind)
        if curves:
            charts.append(line_chart(title, curves, x_title, y_title, is_dotted=x_title == 'epoch'))
    return charts


def _activations(folder: WorkFolder, store: MapStore | None) -> dict[str, Any] | None:
    stage = folder.stage('agbp')
    if not (stage and stage.config and store and folder.image_root and 'backbone' in folder.weights):
        return None
    dataset = pseudo_box_dataset(stage.config.get('train_dataloader') or {}) or {}
    held_out = held_out_records(folder, dataset, store)
    there = [record for record in held_out or store.index[:50] if (folder.image_root / record.name).is_file()]
    records = sorted(there, key=lambda record: -record.score)[:_NUM_ACTIVATIONS]
    note = 'Images that stage 1 kept out of its training.' if held_out else 'Images of the training.'
    try:
        with quiet_logger():
            rows, notes = draw_activations(stage.config, folder.weights['backbone'], store, folder.image_root, records)
    except Exception as error:  # noqa: BLE001 - any model may fail in its own way; the page shows the rest
        _say(folder, 'The activation maps cannot be drawn', error)
        return None
    return dict(rows=rows, notes=[note, *notes]) if rows else None


def _predictions(folder: WorkFolder, store: MapStore | None, truth: Mapping[str, TrueBoxes]) -> dict[str, Any] | None:
    stage = folder.stage('agdp')
    if not (stage and stage.config and 'detector' in folder.weights):
        return None
    images = find_held_out(folder, store, truth, _NUM_PREDICTIONS)
    if images is None:
        folder.problems.append('There are no held-out images to show detections in.')
        return None
    try:
        with quiet_logger():
            cards = draw_predictions(stage.config, folder.weights['detector'], images)
    except Exception as error:  # noqa: BLE001 - see above
        _say(folder, 'The detections cannot be drawn', error)
        return None
    return dict(cards=cards, note=images.note)


def _say(folder: WorkFolder, what: str, error: Exception) -> None:
    folder.problems.append(f'{what} ({type(error).__name__}: {error}).')
    _logger.debug(what, exc_info=error)
