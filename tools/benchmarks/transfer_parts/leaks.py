"""What a transfer result must not rest on: pictures of the evaluation in the training, names that tell the class."""
import json
import re
from collections import Counter, defaultdict
from pathlib import Path

from agssp_mm.images import ImageList
from agssp_mm.images.duplicates import find_duplicates


def check_unseen(pretraining: ImageList, evaluation: ImageList) -> None:
    """Refuse a pretraining that sees a picture of the evaluation, be it re-encoded, re-exposed, turned or mirrored.

    Raises:
        ValueError: With the first pairs.
    """
    found = find_duplicates(pretraining, evaluation)
    if found:
        pairs = ', '.join(f'{pair.second} = {pair.first} ({pair.similarity:.2f})' for pair in found[:3])
        raise ValueError(f'{len(found)} of {len(evaluation)} images of the evaluation are in the pretraining too: '
                         f'{pairs}; leave them out of it')


def check_apart(labels: Path, split: Path) -> None:
    """Refuse labelled images that are measured on.

    Args:
        labels: COCO JSON that is learnt from.
        split: COCO JSON that is measured on, with images of the same folder.

    Raises:
        ValueError: With the first names that are in both.
    """
    learnt, measured = ({image['file_name'] for image in json.loads(path.read_text(encoding='utf-8'))['images']}
                        for path in (labels, split))
    if both := sorted(learnt & measured):
        raise ValueError(f'{len(both)} of {len(measured)} images of {split.stem} are in the labels of {labels.stem} '
                         f'too, e.g. {", ".join(both[:3])}; leave them out of one of the files')


def check_names(annotations: Path) -> None:
    """Refuse names that tell the class: what is left of a name without its digits must not go with the class.

    Args:
        annotations: COCO JSON with the names and the true classes; read by this check alone.

    Raises:
        ValueError: If guessing an image's class by its name beats guessing blindly by more than a tenth.
    """
    coco = json.loads(annotations.read_text(encoding='utf-8'))
    names = {image['id']: re.sub(r'\d+', '#', str(Path(image['file_name']).with_suffix('')))
             for image in coco['images']}
    classes: dict[int, Counter] = defaultdict(Counter)
    for annotation in coco['annotations']:
        classes[annotation['image_id']][annotation['category_id']] += 1
    truth = {image: counts.most_common(1)[0][0] for image, counts in classes.items()}
    if not truth:
        return
    by_name: dict[str, Counter] = defaultdict(Counter)
    for image, category in truth.items():
        by_name[names[image]][category] += 1
    blindly = Counter(truth.values()).most_common(1)[0][1] / len(truth)
    by_names = sum(counts.most_common(1)[0][1] for counts in by_name.values()) / len(truth)
    if by_names - blindly > 0.1:
        told = sorted(by_name)[:3]
        raise ValueError(f'the names of the images tell their class ({by_names:.0%} right by name, {blindly:.0%} '
                         f'blindly), e.g. {told}; rename the files to numbers')
