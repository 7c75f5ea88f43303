"""A detection data set made of images and their anomaly maps alone."""
import logging
import math
import os
from pathlib import Path
from typing import Any

from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from mmengine.registry import DATASETS, TASK_UTILS

from ..files import existing
from ..images import ImageList, list_images
from ..maps.box_cache import load_or_make_boxes
from ..maps.boxes import PseudoBoxes
from ..maps.coco import read_pseudo_boxes
from ..maps.plan import check_content
from ..maps.records import MapRecord
from ..maps.store import MapStore
from ..maps.strongest import check_per_image, keep_strongest


@DATASETS.register_module()
class PseudoBoxDataset(BaseDataset):
    """Unlabelled images with the pseudo boxes of their anomaly maps; no annotation file.

    Serves AGBP (``rule=None``: images and ``gt_label``) and AGDP (with a rule: MMDetection's ``instances`` of the one
    class ``anomaly``). The order of the images follows their content, so names play no part in training.

    Args:
        images: Folder, text file of names or COCO JSON (only file names are read), relative to ``data_root``.
        store: Folder of the map store; it must cover the images.
        rule: Config of the box rule, e.g. ``dict(type='PaperBoxRule')``; ``None`` makes no boxes.
        boxes: COCO JSON of finished pseudo boxes, such as those of a second round (``agssp relabel``), in place of a
            rule; it must cover the images. Like ``store`` not below ``data_root``.
        per_image: Keep the best-scored boxes of all images of the data set together, so many per image on average; None
            keeps every box of the rule or file.
        image_root: Folder that listed names are relative to; relative to ``data_root``.
        data_root: Prepended to ``images`` and ``image_root``.
        with_mask: Add the outline of each component as a COCO polygon, for mask heads.
        held_out: Number of images kept out of training. With ``test_mode`` the data set holds these only, without it
            all others.
        filter_cfg: ``filter_empty_gt`` drops images without a pseudo box (default: kept as negatives), ``min_size``
            drops images with a shorter side in pixels.
        max_ratio: Leave out images that are more than so many times as long as wide, or as wide as long, with a
            warning that counts and names them, in training and test: of these, scaled to the size of the training,
            less than a pixel may be left.
        return_classes: Add the names of the classes to every image, for detectors with a language model.
        **kwargs: As of :class:`mmengine.dataset.BaseDataset`.

    Raises:
        FileNotFoundError: If images or store do not exist.
        ValueError: If store or boxes do not cover the images, no pseudo box is found in any of them, or the settings
            do not go together.
    """

    METAINFO = dict(classes=('anomaly', ), palette=[(220, 20, 60)])

    def __init__(self, images: str, store: str, rule: dict | None = None, *, boxes: str | None = None,
                 per_image: float | None = None, image_root: str | None = None, data_root: str = '',
                 with_mask: bool = False, held_out: int = 0, filter_cfg: dict | None = None,
                 max_ratio: float | None = None, return_classes: bool = False, **kwargs: Any):
        if max_ratio is not None and not max_ratio >= 1:
            raise ValueError(f'max_ratio is that of the longer to the shorter side and must be >= 1, got {max_ratio}')
        unknown = set(filter_cfg or ()) - {'filter_empty_gt', 'min_size'}
        if unknown:
            raise ValueError(f'filter_cfg knows "filter_empty_gt" and "min_size", got {sorted(unknown)}')
        if rule is not None and boxes is not None:
            raise ValueError(f'rule={rule} makes boxes of the maps and boxes={boxes!r} are finished ones: give one of '
                             'them and set the other to None')
        if with_mask and rule is None:
            raise ValueError('with_mask=True needs a box rule: give rule=dict(type=...)')
        if per_image is not None:
            check_per_image(per_image)
            if rule is None and boxes is None:
                raise ValueError(f'per_image={per_image} chooses among boxes: give rule=dict(type=...) or boxes')
        self.images, self.store_path, self.image_root, self.boxes = images, store, image_root, boxes
        self.per_image = per_image
        self.rule, self.with_mask, self.held_out, self.max_ratio = rule, with_mask, held_out, max_ratio
        self.return_classes = return_classes
        kwargs.setdefault('data_prefix', {})
        super().__init__(data_root=data_root, filter_cfg=filter_cfg, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Join images, maps and boxes; called once by :class:`BaseDataset`."""
        root = os.path.join(self.data_root or '', self.image_root) if self.image_root else None
        images = list_images(os.path.join(self.data_root or '', self.images), root)
        store = MapStore.open(self.store_path)
        sources = sorted(store.statistics)
        self._metainfo['sources'] = tuple(sources)
        records = self._split(self._records_of(images, store))
        boxes = self._boxes_of(store, records)
        return [self._data_info(index, record, images.root, sources.index(record.source), boxes.get(record.name))
                for index, record in enumerate(records)]

    def _records_of(self, images: ImageList, store: MapStore) -> list[MapRecord]:
        wanted = {entry.name for entry in images}
        records = [record for record in store.index if record.name in wanted]
        missing = sorted(store.not_covered(wanted))
        if missing:
            raise ValueError(f'{len(missing)} of {len(images)} images of {self.images} have no map in '
                             f'{self.store_path}, e.g. {missing[:3]} (the store names its images like '
                             f'{store.index[0].name!r}); give the same root, or make another store for this list')
        _check_maps(store, records)
        there = existing(images.root, [record.name for record in records])
        present = [record for record in records if record.name in there]
        check_content([(record.key, images.root / record.name) for record in present], store.meta['seed'], store.path)
        if len(present) < len(wanted):
            print_log(f'{len(wanted) - len(present)} of {len(wanted)} images are left out: they could not be read '
                      f'when the maps were made (listed in {store.path}/maps.json) or are gone',
                      logger='current', level=logging.WARNING)
        return self._wide_enough(present)

    def _wide_enough(self, records: list[MapRecord]) -> list[MapRecord]:
        limit = self.max_ratio or math.inf
        kept: list[MapRecord] = []
        narrow: list[MapRecord] = []
        for record in records:
            is_wide = max(record.height, record.width) <= limit * min(record.height, record.width)
            (kept if is_wide else narrow).append(record)
        if not narrow:
            return kept
        if not kept:
            raise ValueError(f'max_ratio={self.max_ratio:g} leaves none of {len(records)} images, e.g. '
                             f'{narrow[0].name} of {narrow[0].width} x {narrow[0].height} pixels; cut them into pieces')
        print_log(f'{len(narrow)} of {len(records)} images are left out, because their longer side is more than '
                  f'{self.max_ratio:g} times the shorter: {", ".join(record.name for record in narrow[:20])}'
                  f'{" ..." if len(narrow) > 20 else ""}; cut them into pieces to have them learnt from',
                  logger='current', level=logging.WARNING)
        return kept

    def _split(self, records: list[MapRecord]) -> list[MapRecord]:
        if not 0 <= self.held_out < len(records):
            raise ValueError(f'held_out must be between 0 and {len(records) - 1} for {len(records)} images, '
                             f'got {self.held_out}')
        if not self.held_out:
            return records
        return records[:self.held_out] if self.test_mode else records[self.held_out:]

    def _boxes_of(self, store: MapStore, records: list[MapRecord]) -> dict[str, PseudoBoxes]:
        if self.rule is None and self.boxes is None:
            return {}
        boxes = self._finished_boxes(records) if self.boxes else load_or_make_boxes(store, TASK_UTILS.build(self.rule))
        counts = [len(boxes[record.name].boxes) for record in records]
        if not any(counts):
            source = self.boxes or dict(self.rule or {})['type']
            raise ValueError(f'no pseudo box in any of {len(records)} images ({source}); '
                             f'lower the threshold of the rule, or look at the maps in {self.store_path}')
        if self.per_image is not None:
            boxes = keep_strongest({record.name: boxes[record.name] for record in records}, self.per_image)
            counts = [len(each.boxes) for each in boxes.values()]
        empty = sum(count == 0 for count in counts)
        print_log(f'{sum(counts)} pseudo boxes in {len(counts)} images, {empty} images without', logger='current')
        return boxes

    def _finished_boxes(self, records: list[MapRecord]) -> dict[str, PseudoBoxes]:
        boxes = read_pseudo_boxes(str(self.boxes))
        missing = [record.name for record in records if record.name not in boxes]
        if missing:
            raise ValueError(f'{len(missing)} of {len(records)} images are not in {self.boxes}, e.g. {missing[:3]}; '
                             'make the boxes for this list of images')
        return boxes

    def _data_info(self, index: int, record: MapRecord, root: Path, label: int,
                   found: PseudoBoxes | None) -> dict[str, Any]:
        instances: list[dict[str, Any]] = []
        info = dict(img_path=str(root / record.name), img_id=index, height=record.height, width=record.width,
                    gt_label=label, instances=instances)
        if self.return_classes:
            info.update(text=self.metainfo['classes'], custom_entities=True)
        for number, box in enumerate(found.boxes if found else ()):
            instance = dict(bbox=[float(value) for value in box], bbox_label=0, ignore_flag=0,
                            score=float(found.scores[number]))
            if self.with_mask:
                instance['mask'] = [outline.ravel().tolist() for outline in found.polygons[number]]
            instances.append(instance)
        return info

    def filter_data(self) -> list[dict[str, Any]]:
        """Drop images as ``filter_cfg`` says; nothing is dropped in test mode."""
        if self.test_mode or not self.filter_cfg:
            return self.data_list
        min_size = self.filter_cfg.get('min_size', 0)
        drop_empty = self.filter_cfg.get('filter_empty_gt', False) and (self.rule or self.boxes) is not None
        kept = [info for info in self.data_list
                if min(info['height'], info['width']) >= min_size and (info['instances'] or not drop_empty)]
        if not kept:
            raise ValueError(f'filter_cfg={dict(self.filter_cfg)} leaves none of {len(self.data_list)} images')
        return kept

    def get_cat_ids(self, idx: int) -> list[int]:
        """Labels of the boxes of one image, as MMDetection's data set wrappers ask for."""
        return [instance['bbox_label'] for instance in self.get_data_info(idx)['instances']]


def _check_maps(store: MapStore, records: list[MapRecord]) -> None:
    there = existing(store.path, [MapStore.map_name(record.name) for record in records])
    gone = [record.name for record in records if MapStore.map_name(record.name) not in there]
    if gone:
        raise ValueError(f'{len(gone)} of {len(records)} maps of the store {store.path} are gone, e.g. those of '
                         f'{gone[:3]}; the tools/generate_maps.py command that made it, run again, mends it')
