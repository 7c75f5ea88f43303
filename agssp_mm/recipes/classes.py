"""How many classes a detector knows, wherever its config says so."""
from collections.abc import Sequence
from typing import Any

from ..engine.walk import walk

# Heads of proposals know "object" alone; backbones and necks of other frameworks may carry a count of their own.
CLASS_AGNOSTIC = ('backbone', 'neck', 'rpn_head', 'teacher_backbone', 'teacher_neck', 'data_preprocessor')
_COUNTS = ('num_classes', 'num_things_classes')


def count_classes(model: dict) -> int | None:
    """The number of classes of a detector's config: the largest it names; None where it names none (a bare RPN)."""
    counts = [part[key] for part in walk(model, CLASS_AGNOSTIC) for key in _COUNTS if isinstance(part.get(key), int)]
    return max(counts, default=None)


def set_num_classes(model: dict, num_classes: int) -> int:
    """Change the number of classes in every head of a detector's config.

    Counts sit in lists of heads (cascades), in losses (Seesaw), as things and stuff (panoptic heads; the stuff
    becomes none), and as the length of ``class_weight`` lists with or without an entry for the background.

    Args:
        model: Changed in place.
        num_classes: The new number, at least 1.

    Returns:
        How many settings were changed.

    Raises:
        ValueError: If the number is none.
    """
    if not isinstance(num_classes, int) or num_classes < 1:
        raise ValueError(f'num_classes must be a number >= 1, got {num_classes!r}')
    # Weights first: their lengths tell what they are by the old counts.
    changed = _shorten_weights(model, count_classes(model) or 0, num_classes)
    for part in walk(model, CLASS_AGNOSTIC):
        for key in (*_COUNTS, 'num_stuff_classes'):
            if isinstance(part.get(key), int):
                part[key] = 0 if key == 'num_stuff_classes' else num_classes
                changed += 1
    return changed


def _shorten_weights(part: Any, old: int, new: int) -> int:
    """Fit the lists of class weights below a part that stands under a head of so many classes; returns how many."""
    if isinstance(part, (list, tuple)):
        return sum(_shorten_weights(one, old, new) for one in part)
    if not isinstance(part, dict):
        return 0
    counts = [part[key] for key in _COUNTS if isinstance(part.get(key), int)]
    old = counts[0] + (part.get('num_stuff_classes') or 0) if counts else old
    weights = part.get('class_weight')
    is_list = isinstance(weights, Sequence) and not isinstance(weights, str) and len(weights) - old in (0, 1)
    if is_list and weights and old:
        # Weights of the old classes say nothing about the new ones but their scale.
        part['class_weight'] = [sum(weights[:old]) / old] * new + list(weights[old:])
    return int(is_list and old > 0) + sum(_shorten_weights(value, old, new) for key, value in part.items()
                                          if key not in CLASS_AGNOSTIC)
