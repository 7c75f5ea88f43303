"""What a transfer result must not rest on: pictures of the evaluation in the training, names that tell the class."""
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

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


#: What may tell a class -> how it is read off a name.
_TELLING: dict[str, Callable[[PurePosixPath], str]] = {
    'the names': lambda name: re.sub(r'\d+', '#', str(name.with_suffix(''))),
    'the folders': lambda name: str(name.parent),
    'the first numbers in the names': lambda name: ''.join(re.findall(r'\d+', name.name)[:1])}


def check_names(annotations: Path) -> None:
    """Refuse names that tell the class: neither a name without its digits, nor its folder, nor its first number, may
    go with the class. Every image is guessed by the others, so that names that are all different tell nothing.

    Args:
        annotations: COCO JSON with the names and the true classes; read by this check alone.

    Raises:
        ValueError: If guessing an image's class by its name beats guessing blindly by more than a tenth.
    """
    coco = json.loads(annotations.read_text(encoding='utf-8'))
    names = {image['id']: PurePosixPath(image['file_name']) for image in coco['images']}
    classes: dict[int, Counter] = defaultdict(Counter)
    for annotation in coco['annotations']:
        classes[annotation['image_id']][annotation['category_id']] += 1
    truth = {image: counts.most_common(1)[0][0] for image, counts in classes.items()}
    if not truth:
        return
    blindly = Counter(truth.values()).most_common(1)[0][1] / len(truth)
    for what, read in _TELLING.items():
        told = {image: read(names[image]) for image in truth}
        by_names = _share_guessed(truth, told, blindly)
        if by_names - blindly > 0.1:
            raise ValueError(f'{what} of the images tell their class ({by_names:.0%} right by them, {blindly:.0%} '
                             f'blindly), e.g. {sorted(set(told.values()))[:3]}; rename the files to random numbers, in '
                             'one folder')


def _share_guessed(truth: Mapping[int, int], told: Mapping[int, str], blindly: float) -> float:
    """Share of the images whose class is the commonest one among the others of which the same is told.

    Args:
        truth: Image -> class.
        told: Image -> what its name tells.
        blindly: What counts for an image of which that is told alone.
    """
    groups: dict[str, Counter] = defaultdict(Counter)
    for image, category in truth.items():
        groups[told[image]][category] += 1
    right = 0.0
    for image, category in truth.items():
        others = groups[told[image]] - Counter([category])
        best = [one for one, count in others.items() if count == max(others.values())]
        right += (category in best) / len(best) if best else blindly
    return right / len(truth)
