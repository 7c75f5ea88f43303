"""Dividing a data set into training and validation part where its publication does not."""
import random
from collections import defaultdict
from collections.abc import Callable, Sequence

from .coco import LabelledImage


def split_images(images: Sequence[LabelledImage], val_share: float, seed: int,
                 group_of: Callable[[str], str]) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """Draw the validation part: whole groups, from every kind of image its share.

    Args:
        images: Their order does not matter.
        val_share: Share of validation, between 0 and 1.
        seed: Same seed, same split.
        group_of: File name -> what must not be divided, such as the shots of one tile.

    Returns:
        Training and validation images, in the given order.

    Raises:
        ValueError: If the share is not between 0 and 1, or one of the parts would be empty.
    """
    if not 0 < val_share < 1:
        raise ValueError(f'the share of validation must lie between 0 and 1, got {val_share}')
    groups = defaultdict(list)
    for image in images:
        groups[group_of(image['file_name'])].append(image)
    kinds = defaultdict(list)
    for name, members in sorted(groups.items()):
        kinds[tuple(sorted({one['category'] for image in members for one in image['objects']}))].append(name)
    drawn: set[str] = set()
    generator = random.Random(seed)
    for _, names in sorted(kinds.items()):
        generator.shuffle(names)
        drawn.update(_first_of_share(names, groups, val_share))
    parts = tuple([image for image in images if (group_of(image['file_name']) in drawn) == is_val]
                  for is_val in (False, True))
    if not all(parts):
        raise ValueError(f'{len(images)} images in {len(groups)} groups give {len(parts[0])} for training and '
                         f'{len(parts[1])} for validation; choose another share than {val_share}')
    return parts


def _first_of_share(names: list[str], groups: dict[str, list], share: float) -> list[str]:
    """As many of the first groups as come closest to the share of the images."""
    wanted = share * sum(len(groups[name]) for name in names)
    count, chosen = 0, []
    for name in names:
        if abs(count + len(groups[name]) - wanted) > abs(count - wanted):
            break
        chosen.append(name)
        count += len(groups[name])
    return chosen
