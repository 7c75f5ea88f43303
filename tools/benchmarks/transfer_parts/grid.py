"""Which trainings a grid consists of, and what each of them is made of."""
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

INITS = ('random', 'imagenet', 'agbp', 'agdp', 'agssp', 'oracle', 'coco')
RECIPES = ('frozen', 'trained')
NEEDS_PRETRAINING = ('agbp', 'agdp', 'agssp', 'oracle')


@dataclass(frozen=True)
class Run:
    """One fine-tuning.

    Attributes:
        init: Where the weights come from, one of ``INITS``.
        labels: Name of the annotation file that is learnt from, e.g. ``train_10pct``.
        split: Name of the annotation file that is measured on, e.g. ``val``.
        seed: Of the fine-tuning.
        pretrain_seed: Of the pretraining; ``None`` where there is none.
        recipe: Whether AGDP leaves the backbone ``frozen`` or ``trained``, and after a plus a label of what else its
            options change, e.g. ``trained+paste``, or ``round3`` for so many rounds, each after the first on the boxes
            of the detector before; ``None`` without AGDP.
        dataset, detector: Names of the data set's folder and of the config.
        epochs: Of the fine-tuning.
        image_size: Longer side of the images of both trainings in pixels.
        amp: Mixed precision in both.
    """

    init: str
    dataset: str
    labels: str
    split: str
    seed: int
    pretrain_seed: int | None
    detector: str
    recipe: str | None
    epochs: int
    image_size: int
    amp: bool

    @property
    def name(self) -> str:
        """Folder name, different for different runs."""
        return '-'.join(f'{value}' for value in asdict(self).values() if value is not None)


def options_of(run: Run, options: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The options that a run depends on, as plain JSON values; kinds without any are left out.

    Args:
        run: The run.
        options: ``pretrain``, ``agdp`` and ``finetune``: dotted keys and values that go before the configs.
    """
    kinds = ['finetune', *(['pretrain'] if run.init in NEEDS_PRETRAINING else []), *(['agdp'] if run.recipe else [])]
    return json.loads(json.dumps({kind: options[kind] for kind in kinds if options[kind]}, default=str))


def split_rounds(recipe: str) -> tuple[str, int]:
    """Split ``trained+paste+round3`` into the recipe of every round, ``trained+paste``, and their number, 3.

    Raises:
        ValueError: If there are several such labels, or the number is below 2.
    """
    parts = recipe.split('+')
    found = [part for part in parts if re.fullmatch(r'round\d+', part)]
    rounds = int(found[0].removeprefix('round')) if found else 1
    if len(found) > 1 or found and rounds < 2:
        raise ValueError(f'a recipe has at most one label "roundN", with N from 2 on; got {recipe!r}')
    return '+'.join(part for part in parts if part not in found), rounds


def make_grid(inits: list[str], labels: list[str], seeds: list[int], pretrain_seeds: list[int], *, dataset: str,
              split: str, detector: str, recipe: str, epochs: int, image_size: int = 256,
              amp: bool = False) -> list[Run]:
    """All combinations, seeds outermost, so that a grid cut short has whole pairs.

    A fine-tuning seed goes with one pretraining seed, in turn: five seeds over two pretrainings use the first one
    for the seeds 0, 2 and 4. Rows without a pretraining are there once per seed.

    Raises:
        ValueError: If an initialisation or recipe is unknown, or a list is empty.
    """
    unknown = sorted(set(inits) - set(INITS))
    if unknown or recipe.split('+')[0] not in RECIPES:
        raise ValueError(f'there are the initialisations {", ".join(INITS)} and the recipes {", ".join(RECIPES)} '
                         f'(or one of them, a plus and a label); got {unknown or recipe!r}')
    split_rounds(recipe)
    if not (inits and labels and seeds and pretrain_seeds):
        raise ValueError('a grid needs at least one initialisation, label set, seed and pretraining seed')
    return [Run(init, dataset, label, split, seed,
                pretrain_seeds[index % len(pretrain_seeds)] if init in NEEDS_PRETRAINING else None, detector,
                recipe if init in NEEDS_PRETRAINING and init != 'agbp' else None, epochs, image_size, amp)
            for (index, seed), label, init in product(enumerate(seeds), labels, inits)]
