"""Which images there are: a folder, a text file or a COCO JSON becomes one checked, ordered list."""
import codecs
import hashlib
import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from ..files import existing

IMAGE_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')
DEFAULT_SOURCE = 'images'
_STORE_MARK = 'plan.jsonl'  # written before the first map of a store


@dataclass(frozen=True)
class ImageEntry:
    """One image: ``name`` is its POSIX path below the root, ``source`` the declared part of the set it belongs to."""

    name: str
    source: str = DEFAULT_SOURCE


@dataclass(frozen=True)
class ImageList(Sequence[ImageEntry]):
    """An ordered list of image names below one root.

    Attributes:
        root: Folder that the names are relative to.
        entries: The images, sorted by name, each once.
        num_ignored: Files of a listed folder that are no images by their suffix.
    """

    root: Path
    entries: tuple[ImageEntry, ...] = field(repr=False)
    num_ignored: int = 0

    def __getitem__(self, index: Any) -> Any:
        return self.entries[index]

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[ImageEntry]:
        return iter(self.entries)

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the sources that occur, sorted."""
        return tuple(sorted({entry.source for entry in self.entries}))

    def path(self, entry: ImageEntry) -> Path:
        """Full path of one image."""
        return self.root / entry.name

    def fingerprint(self) -> str:
        """Digest of the names and sources: tells whether two lists name the same images."""
        digest = hashlib.sha256()
        for entry in self.entries:
            # Names on disk need not be UTF-8: Python keeps their other bytes as lone surrogates.
            digest.update(f'{entry.source}\0{entry.name}\n'.encode('utf-8', 'surrogateescape'))
        return digest.hexdigest()


def list_images(images: str | Path, root: str | Path | None = None,
                sources: Mapping[str, str | Path] | None = None) -> ImageList:
    """List the images of a folder, a text file or a COCO JSON.

    Args:
        images: A folder (searched with its sub-folders), a text file with one name per line, or a COCO JSON of which
            only ``images[].file_name`` is read. Lists may be in UTF-8 or, with its mark, UTF-16. Listed names may be
            absolute where they lie below the root, and have the backslashes of Windows.
        root: Folder that listed names are relative to; defaults to the folder itself, or to the folder that holds
            the list file.
        sources: ``{name: sub-folder or text file of names}``; every image must belong to exactly one. Default: one
            source. Never derived from file names.

    Raises:
        FileNotFoundError: If ``images`` or ``root`` does not exist, or none of the listed files does.
        ValueError: If there is no image in it, a name leaves the root, or the sources do not cover the images.
    """
    images = Path(images)
    if not images.exists():
        raise FileNotFoundError(f'images: {images} does not exist; give a folder, a text file of names or a COCO JSON')
    root = Path(root) if root is not None else (images if images.is_dir() else images.parent)
    if not root.is_dir():
        raise FileNotFoundError(f'root of the images: {root} is not a folder')
    num_ignored = 0
    if images.is_dir():
        names, num_ignored = _names_in_folder(images, root)
    else:
        names = _below_root(_names_in_file(images), root)
        _check_names(names, images, root)
    if not names:
        raise ValueError(f'no image in {images}: files ending in {", ".join(IMAGE_SUFFIXES)} are looked for '
                         f'({num_ignored} other files found)')
    names = sorted(set(names))
    return ImageList(root, _with_sources(names, root, sources), num_ignored)


def _names_in_folder(folder: Path, root: Path) -> tuple[list[str], int]:
    if not folder.resolve().is_relative_to(root.resolve()):
        raise ValueError(f'the folder {folder} does not lie below the root {root}')
    below = folder.resolve().relative_to(root.resolve())  # of a link too
    names, num_ignored, closed = [], 0, list[str]()
    for where, files in _walk(str(folder), lambda error: closed.append(str(error.filename))):
        # once per folder: a path for each of a million names takes half a minute
        place = (below / os.path.relpath(where, folder)).as_posix()
        for file in files:
            if file.lower().endswith(IMAGE_SUFFIXES) and not file.startswith('.'):
                names.append(file if place == '.' else f'{place}/{file}')
            else:
                num_ignored += 1
    if closed:
        logging.getLogger(__name__).warning('%d folders below %s may not be read and were passed over, e.g. %s',
                                            len(closed), folder, closed[:3])
    return names, num_ignored


def _walk(top: str, onerror: Callable[[OSError], object]) -> Iterator[tuple[str, list[str]]]:
    """Folders and their files; each folder once, by its own path where it lies below ``top`` and else by a link."""
    seen, starts = set[str](), [top]
    while starts:
        links: list[str] = []
        for start in starts:
            for where, folders, files in os.walk(start, onerror=onerror):
                real = os.path.realpath(where)
                if real in seen:
                    folders.clear()
                    continue
                seen.add(real)
                inside = [os.path.join(where, name) for name in sorted(folders)]
                links += [path for path in inside if os.path.islink(path) and _is_entered(path)]
                folders[:] = [os.path.basename(path) for path in inside if _is_entered(path)]
                yield where, files
        starts = links  # what is linked is entered last, so that no link hides a folder


def _is_entered(folder: str) -> bool:
    """Whether a sub-folder holds images to list."""
    # A map store holds PNGs too, and may lie among the images.
    return not (os.path.basename(folder).startswith('.') or os.path.isfile(os.path.join(folder, _STORE_MARK)))


def _names_in_file(path: Path) -> list[str]:
    data = path.read_bytes()
    is_wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # as PowerShell writes what is redirected
    try:
        text = data.decode('utf-16' if is_wide else 'utf-8-sig')  # editors on Windows put a mark first
    except UnicodeDecodeError as error:
        raise ValueError(f'{path} is no text; give a folder of images, a text file of names or a COCO JSON') from error
    if path.suffix.lower() != '.json':
        return [PurePosixPath(line.strip()).as_posix() for line in text.splitlines() if line.strip()]
    try:
        return [PurePosixPath(str(image['file_name'])).as_posix() for image in json.loads(text)['images']]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f'{path} is not a COCO JSON: "images" with a "file_name" each is expected '
                         f'({type(error).__name__}: {error})') from error


def _below_root(names: list[str], root: Path) -> list[str]:
    """Listed names as they are below the root; those that cannot be are left as they are."""
    names = _with_slashes(names, root)
    if not any(name.startswith('/') for name in names):
        return names
    real_folder = lru_cache(None)(os.path.realpath)  # links are followed once per folder
    places = [os.path.join(place, '') for place in (os.path.abspath(root), os.path.realpath(root))]
    return [_relative(name, places, real_folder) for name in names]


def _relative(name: str, places: Sequence[str], real_folder: Callable[[str], str]) -> str:
    if not name.startswith('/'):
        return name
    plain = '/' + os.path.normpath(name).lstrip('/')  # POSIX lets two slashes at the start stand
    for place in places:
        if plain.startswith(place):
            return plain[len(place):]
    folder, file = os.path.split(name)
    real = os.path.join(real_folder(folder), file)
    return real[len(places[-1]):] if real.startswith(places[-1]) else name


def _with_slashes(names: list[str], root: Path) -> list[str]:
    """A backslash parts folders in lists made on Windows; elsewhere it may stand in a name."""
    changed = {name: PurePosixPath(name.replace('\\', '/')).as_posix() for name in names if '\\' in name}
    there = existing(root, changed.values())
    for name, other in changed.items():
        if other not in there and _is_there(root / name):
            changed[name] = name
    return [changed.get(name, name) for name in names]


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a path of Windows may be too long for the name of one file
        return False


def _check_names(names: list[str], images: Path, root: Path) -> None:
    outside = [name for name in names if PurePosixPath(name).is_absolute() or '..' in PurePosixPath(name).parts]
    if outside:
        raise ValueError(f'{images}: names must be relative to the root and stay below it, got {outside[:3]}; the root '
                         f'is {root}, give another (--root) where that is not the folder that all images lie below')
    if names and not any((root / name).exists() for name in names):
        shown = ', '.join(str(root / name) for name in names[:3])
        raise FileNotFoundError(f'none of the {len(names)} images named in {images} exists below {root} '
                                f'(looked for {shown}); give the folder that the names are relative to as root')


def _with_sources(names: list[str], root: Path, sources: Mapping[str, str | Path] | None) -> tuple[ImageEntry, ...]:
    if not sources:
        return tuple(ImageEntry(name) for name in names)
    owner: dict[str, str] = {}
    for source, where in sources.items():
        for name in _names_of_source(names, root, source, where):
            if owner.setdefault(name, source) != source:
                raise ValueError(f'{name} belongs to the sources {owner[name]!r} and {source!r}; one is allowed')
    orphans = [name for name in names if name not in owner]
    if orphans:
        raise ValueError(f'{len(orphans)} of {len(names)} images belong to no source, e.g. {orphans[:3]}; '
                         f'sources given: {sorted(sources)}')
    empty = set(sources) - set(Counter(owner.values()))
    if empty:
        raise ValueError(f'no image belongs to the sources {sorted(empty)}; check their folders or lists')
    return tuple(ImageEntry(name, owner[name]) for name in names)


def _names_of_source(names: list[str], root: Path, source: str, where: str | Path) -> list[str]:
    if (root / where).is_dir():
        below = Path(os.path.relpath(root / where, root)).as_posix()
        return [name for name in names if below == '.' or name.startswith(f'{below}/')]
    if Path(where).is_file():
        listed = set(_below_root(_names_in_file(Path(where)), root))
        return [name for name in names if name in listed]
    raise FileNotFoundError(f'source {source!r}: {where} is neither a sub-folder of {root} nor a file of names')
