"""Putting the run page together and writing it."""
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...files import write_atomically
from ...maps.box_quality import TrueBoxes, read_true_boxes, with_names_of
from ...maps.store import MapStore
from ...version import __version__
from ..overlays import BOX_COLOURS
from .charts import bar_chart
from .gallery import Gallery, make_gallery
from .problems import warn_of_maps
from .thresholds import MOST_BOXES, SIZE_BINS
from .training_section import training_section
from .transfer_section import transfer_section
from .work_folder import WorkFolder, find_work_folder

DEFAULT_NAME = 'report.html'
LIMIT = 20_000_000
_DEFAULT_RULE = dict(type='ComponentTreeBoxRule')
_ORDERS = dict(highest='Highest score', lowest='Lowest score', random='Random', most='Most boxes',
               fewest='Fewest boxes')


@dataclass(frozen=True)
class PageOptions:
    """What a page shows.

    Attributes:
        annotations: COCO JSON of true boxes, to show beside the pseudo boxes; nothing else is done with them.
        images: Folder that the image names are relative to, where the run itself does not say.
        rule: Config of the box rule, where the run itself does not say.
        results: More files of ``tools/benchmarks/transfer.py``, beside those in the folder.
        num_sampled: Images that are boxed at every threshold.
        per_order: Images shown per sorting.
        seed: Picks the sample.
    """

    annotations: str | Path | None = None
    images: str | Path | None = None
    rule: Mapping[str, Any] | None = None
    results: Sequence[str | Path] = ()
    num_sampled: int = 200
    per_order: int = 12
    seed: int = 0


def write_run_page(work_dir: str | Path, out: str | Path | None = None, options: PageOptions | None = None) -> Path:
    """Write one HTML file that shows a run: maps, boxes, training, detections, transfer results.

    The file needs nothing but a browser. What the run has not brought yet, or what is damaged or gone, is named in the
    page, and the rest is shown.

    Args:
        work_dir: Folder of ``agssp pretrain``, work_dir of ``tools/train.py``, map store, or folder of the demo.
        out: File to write; default: ``report.html`` in the folder.
        options: What to show.

    Returns:
        The file.

    Raises:
        FileNotFoundError: If the folder, the annotations or the results do not exist.
        ValueError: If it is no folder of a run, or a setting does not fit.
    """
    options = options or PageOptions()
    for name in ('num_sampled', 'per_order'):
        if getattr(options, name) < 1:
            raise ValueError(f'{name} must be at least 1, got {getattr(options, name)}')
    path = Path(out) if out else Path(work_dir) / DEFAULT_NAME
    if path.is_dir():
        raise ValueError(f'{path} is a folder; give the name of the page to write')
    if options.images and not Path(options.images).is_dir():
        raise ValueError(f'images: {options.images} is no folder; give the folder that the names of the images are '
                         'relative to, for images of a list the one that --root names')
    gone = [str(one) for one in options.results if not Path(one).is_file()]
    if gone:
        raise FileNotFoundError(f'there is no file of results at {", ".join(gone)}; give the --out of '
                                'tools/benchmarks/transfer.py')
    folder = find_work_folder(work_dir)
    annotations = options.annotations or folder.annotations
    truth = read_true_boxes(annotations) if annotations else {}
    text = _render(folder, truth, options)
    while len(text) > LIMIT and options.per_order > 1:  # noisy images compress badly
        options = replace(options, per_order=options.per_order // 2)
        text = _render(find_work_folder(work_dir), truth, options)
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_atomically(path) as file:
        file.write(text)
    return path


def try_to_write_run_page(work_dir: str | Path) -> Path | None:
    """The page at the end of a run: a page that fails must not spoil the run, so its error becomes a warning."""
    try:
        return write_run_page(work_dir)
    except Exception as error:  # noqa: BLE001 - see above
        logging.getLogger(__name__).warning('the run page of %s could not be written (%s: %s); try agssp report %s',
                                            work_dir, type(error).__name__, error, work_dir)
        return None


def _render(folder: WorkFolder, truth: Mapping[str, TrueBoxes], options: PageOptions) -> bytes:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    environment = Environment(loader=PackageLoader('agssp_mm.visualization.run_page', 'templates'), autoescape=True,
                              undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    if options.images:
        folder.image_root = Path(options.images)
        if not (folder.images and folder.images.is_file()):
            folder.images = folder.image_root
    folder.results += [Path(one) for one in options.results]
    store = _open_store(folder)
    if store is not None:
        truth = with_names_of([record.name for record in store.index], truth)
    context = dict(folder=folder, version=__version__, orders=_ORDERS, limit_seed=options.seed,
                   colours={kind: '#{2:02x}{1:02x}{0:02x}'.format(*colour) for kind, colour in BOX_COLOURS.items()},
                   has_truth=bool(truth), maps=_try_maps_section(folder, store, truth, options),
                   training=training_section(folder, store, truth), transfer=transfer_section(folder))
    missing = list(dict.fromkeys(folder.problems))
    return environment.get_template('page.html').render(**context, missing=missing).encode(
        'utf-8', 'backslashreplace')  # names on disk need not be UTF-8


def _open_store(folder: WorkFolder) -> MapStore | None:
    if folder.store is None:
        folder.problems.append('The run names no map store, so there are no maps to show.')
        return None
    try:
        store = MapStore.open(folder.store)
        if not store.index:
            folder.problems.append(f'The map store {folder.store} holds no map.')
            return None
        return store
    except (FileNotFoundError, ValueError, TypeError) as error:
        folder.problems.append(f'The maps cannot be shown: {error}')
        return None


def _try_maps_section(folder: WorkFolder, store: MapStore | None, truth: Mapping[str, TrueBoxes],
                      options: PageOptions) -> dict[str, Any] | None:
    try:
        return _maps_section(folder, store, truth, options)
    except (KeyError, ValueError, TypeError, OSError) as error:  # a damaged store, or a box rule that is not there
        folder.problems.append(f'The maps cannot be shown ({type(error).__name__}: '
                               f'{error.args[0] if error.args else error}).')
        return None


def _maps_section(folder: WorkFolder, store: MapStore | None, truth: Mapping[str, TrueBoxes],
                  options: PageOptions) -> dict[str, Any] | None:
    if store is None:
        return None
    rule = dict(options.rule or folder.rule or _DEFAULT_RULE)
    if folder.image_root is None:
        folder.problems.append('The maps are shown without their images: a map store does not say where they lie. Give '
                               '--images FOLDER.')
    if folder.per_image is not None:
        folder.problems.append(f'The boxes shown are all that the rule makes; stage 2 learns from the best '
                               f'{folder.per_image:g} per image of the whole set (per_image in its data set).')
    gallery = make_gallery(store, folder.image_root, rule, truth, options.num_sampled, options.per_order, options.seed)
    _tell_losses(folder, store, gallery, truth)
    peaks = store.calibration.apply(np.array([record.peak for record in store.index]))
    steps = gallery.steps
    size_labels = [f'{100 * end:.0f}' for end in SIZE_BINS]
    charts = [
        bar_chart('Highest value of each map', [np.histogram(peaks, 10, (0, 1))[0].tolist()], 0,
                  [f'{end:.1f}' for end in np.linspace(0.1, 1, 10)], 'up to, calibrated', 'all images', 'peaks'),
        bar_chart('Boxes per image', [step.per_image for step in steps], gallery.own_step,
                  [*map(str, range(MOST_BOXES)), f'{MOST_BOXES}+'], 'boxes', 'images', 'per-image'),
        bar_chart('Size of the boxes', [step.sizes for step in steps], gallery.own_step, size_labels,
                  'side of the box, % of that of the image, up to', 'boxes', 'sizes')]
    plain = [dict(value=step.value, line=step.line, boxes=step.num_boxes, empty=step.num_empty,
                  per_image=step.per_image, sizes=step.sizes, warnings=step.warnings) for step in steps]
    data = dict(steps=plain, own=gallery.own_step, cards=gallery.cards, orders=gallery.orders,
                sampled=gallery.num_sampled)
    return dict(gallery=gallery, data=data, charts=charts, warnings=warn_of_maps(store.statistics), meta=store.meta,
                rule=rule['type'], step=plain[gallery.own_step])


def _tell_losses(folder: WorkFolder, store: MapStore, gallery: Gallery, truth: Mapping[str, TrueBoxes]) -> None:
    if gallery.gone:
        name, reason = next(iter(gallery.gone.items()))
        folder.problems.append(f'{len(gallery.gone)} of the {len(gallery.cards)} images shown cannot be read any more, '
                               f'e.g. {name} ({reason}); their maps are shown alone.')
    if gallery.lost_maps:
        folder.problems.append(f'{len(gallery.lost_maps)} maps of the sample are gone or damaged, e.g. '
                               f'{gallery.lost_maps[0]}; they are left out.')
    if store.skipped:
        name, reason = next(iter(store.skipped.items()))
        folder.problems.append(f'{len(store.skipped)} images have no map, e.g. {name}: {reason}')
    if truth and not any(card['name'] in truth for card in gallery.cards):
        folder.problems.append(f'The annotations name none of the images shown: the store names them like '
                               f'{store.index[0].name!r}, the annotations like {next(iter(truth))!r}.')
