"""Which class's texts and normal images stand for an image: a setting, never read off a file name."""
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from agssp_mm.teachers.prompts import GENERIC_TEXTS, ClassTexts

#: Stands for sources about which nothing is said.
GENERIC = '(generic)'
#: What is taken where a user chooses nothing.
DEFAULT_CLASS = 'generic_metal'


@dataclass(frozen=True)
class ClassChoice:
    """The classes in use.

    Attributes:
        texts: Class name -> texts, of the classes in use, in alphabetical order.
        by_source: Source -> class name; ``None`` when one class stands for all images.
    """

    texts: dict[str, ClassTexts]
    by_source: dict[str, str] | None = None
    _reported: set[str] = field(default_factory=set, repr=False, compare=False)

    @classmethod
    def of(cls, texts: Mapping[str, ClassTexts], text_class: str | Mapping[str, str | None] | None) -> Self:
        """Choose among described classes.

        Args:
            texts: All described classes.
            text_class: One class for all images, or source -> class; ``None`` in place of a class for the
                generic states alone. ``None`` for the only class there is, or ``generic_metal``.

        Raises:
            ValueError: If a class is not described, or the choice is left open.
        """
        if text_class is None:
            if len(texts) > 1 and DEFAULT_CLASS not in texts:
                raise ValueError(f'the texts describe the classes {sorted(texts)}; choose one with '
                                 'text_class, or one per source with text_class={source: class}')
            text_class = next(iter(texts)) if len(texts) == 1 else DEFAULT_CLASS
        by_source, wanted = None, {str(text_class)}
        if isinstance(text_class, Mapping):
            by_source = {str(source): GENERIC if name is None else name
                         for source, name in text_class.items()}
            wanted = {*by_source.values(), GENERIC}
        unknown = sorted(map(str, wanted - {GENERIC} - set(texts)))
        if unknown:
            raise ValueError(f'text_class asks for {unknown}, but the texts describe {sorted(texts)}')
        return cls({name: texts.get(name, GENERIC_TEXTS) for name in sorted(wanted)}, by_source)

    def names(self, sources: Sequence[str] | None, num_images: int) -> list[str]:
        """Class name for each image of a batch.

        Raises:
            ValueError: If classes go by source and the sources of the images are not given.
        """
        if self.by_source is None:
            return [next(iter(self.texts))] * num_images
        if sources is None or len(sources) != num_images:
            given = 'none' if sources is None else len(sources)
            raise ValueError(f'text_class chooses by source ({sorted(self.by_source)}): give the source of '
                             f'each of the {num_images} images, got {given}; or set one text_class for all')
        for source in sorted(set(sources) - set(self.by_source) - self._reported):
            self._reported.add(source)
            logging.getLogger(__name__).warning('text_class names no class for the source %r: its images are '
                                                'compared with the generic states alone', source)
        return [self.by_source.get(source, GENERIC) for source in sources]
