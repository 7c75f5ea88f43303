"""Which tensors of a file find their place in a model."""
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

_LISTED = 20


@dataclass(frozen=True)
class LoadReport:
    """What loading a file into a model does, tensor by tensor; names in the order of the model or the file.

    Args:
        matched: In both, with one shape.
        wrong_shape: In both, with the shapes (in the file, in the model); these are not loaded.
        missing: In the model only; these keep what they had.
        unexpected: In the file only.
    """

    matched: tuple[str, ...]
    wrong_shape: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]

    @property
    def class_dependent(self) -> tuple[str, ...]:
        """Tensors of the head that differ in their first axis only: the number of classes is another one."""
        return tuple(name for name, (given, wanted) in self.wrong_shape.items()
                     if name.split('.', 1)[0] not in ('backbone', 'neck') and given and given[1:] == wanted[1:])

    @property
    def left_out(self) -> tuple[str, ...]:
        """Tensors of the file that are not loaded."""
        return (*self.wrong_shape, *self.unexpected)

    @property
    def is_exact(self) -> bool:
        """Whether model and file have the same tensors, in the same shapes."""
        return bool(self.matched) and not (self.wrong_shape or self.missing or self.unexpected)

    @property
    def matched_share(self) -> float:
        """Matched tensors by those of the model or of the file, whichever has fewer; in [0, 1].

        So a backbone fits a whole detector, and a whole detector a backbone. Tensors that depend on the number
        of classes are not counted.
        """
        wrong = len(self.wrong_shape) - len(self.class_dependent)
        fewer = len(self.matched) + wrong + min(len(self.missing), len(self.unexpected))
        return len(self.matched) / fewer if fewer else 0.0

    def by_module(self) -> dict[str, tuple[int, int]]:
        """Count (matched, all) tensors of the model by its top-level modules."""
        matched = Counter(_module(name) for name in self.matched)
        tensors = matched + Counter(_module(name) for name in (*self.wrong_shape, *self.missing))
        return {module: (matched[module], count) for module, count in tensors.items()}

    def text(self) -> str:
        """Say it in words, names included; long lists are cut at 20 names, except wrong shapes."""
        total = len(self.matched) + len(self.wrong_shape) + len(self.missing)
        modules = ', '.join(f'{module} {matched}/{count}' for module, (matched, count) in self.by_module().items())
        lines = [f'{len(self.matched)} of {total} tensors of the model loaded ({modules})']
        for names, what in ((self.class_dependent, 'left out, because the number of classes is another one'),
                            ([name for name in self.wrong_shape if name not in self.class_dependent],
                             'left out, because the shape is another one')):
            if names:
                shapes = (f'{name} (file {self.wrong_shape[name][0]}, model {self.wrong_shape[name][1]})'
                          for name in names)
                lines.append(f'  {len(names)} {what}: {", ".join(shapes)}')
        for names, what in ((self.missing, 'of the model not in the file'),
                            (self.unexpected, 'of the file not in the model')):
            if names:
                lines.append(f'  {len(names)} {what}: {_cut(names)}')
        return '\n'.join(lines)


def compare_weights(model: Mapping[str, Tensor], file: Mapping[str, Tensor]) -> LoadReport:
    """Compare a model with a file by the names and shapes of their tensors.

    Args:
        model: State dict of the model.
        file: Tensors of the file, prefix taken off.

    Returns:
        The report. Counters of batch norm (`num_batches_tracked`), which old files lack, are not missed.
    """
    shapes = {name: (tuple(file[name].shape), tuple(tensor.shape)) for name, tensor in model.items() if name in file}
    return LoadReport(
        matched=tuple(name for name, (given, wanted) in shapes.items() if given == wanted),
        wrong_shape={name: pair for name, pair in shapes.items() if pair[0] != pair[1]},
        missing=tuple(name for name in model if name not in file and not name.endswith('num_batches_tracked')),
        unexpected=tuple(name for name in file if name not in model))


def compare_contents(model: Mapping[str, Tensor], file: Mapping[str, Tensor]) -> LoadReport:
    """Compare a model with a file by the values of their tensors, for models that rename what they load.

    Args:
        model: State dict of the model, after loading.
        file: Tensors of the file under any names.

    Returns:
        The report: `matched` and `missing` by names of the model, `unexpected` by names of the file.
    """
    by_shape: dict[tuple, list[tuple[str, Tensor]]] = {}
    for name, tensor in file.items():
        by_shape.setdefault(tuple(tensor.shape), []).append((name, tensor))
    matched, found = [], set()
    for name, tensor in model.items():
        twins = [other for other, value in by_shape.get(tuple(tensor.shape), ()) if torch.equal(tensor.cpu(), value)]
        if twins:
            matched.append(name)
            found.update(twins)
    missing = set(model) - set(matched)
    return LoadReport(matched=tuple(matched), wrong_shape={},
                      missing=tuple(name for name in model if name in missing and 'num_batches_tracked' not in name),
                      unexpected=tuple(name for name in file if name not in found))


def _module(name: str) -> str:
    return name.split('.', 1)[0]


def _cut(names: tuple[str, ...]) -> str:
    rest = len(names) - _LISTED
    return ', '.join(names[:_LISTED]) + (f', and {rest} more' if rest > 0 else '')
