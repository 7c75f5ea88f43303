"""Pictures for people: anomaly maps over images, boxes in fixed colours, rows of panels side by side."""
from collections.abc import Sequence

import cv2
import numpy as np

from .._dependencies import import_optional

#: Colours by what a box is, BGR; of the Okabe-Ito palette, which colour-blind readers can tell apart.
BOX_COLOURS = {'pseudo box': (0, 159, 230), 'true box': (115, 158, 0), 'detection': (233, 180, 86)}


def overlay_map(image: np.ndarray, anomaly_map: np.ndarray, alpha: float = 0.55) -> np.ndarray:
    """Lay an anomaly map over an image in the perceptually uniform colours of "inferno".

    Args:
        image: (H, W, 3) uint8 BGR.
        anomaly_map: (h, w) float32, calibrated in [0, 1]; enlarged bilinearly. NaN or a value outside [0, 1]
            means "no image here": the image shows through.
        alpha: Share of the colour in the mixture, in [0, 1].

    Returns:
        (H, W, 3) uint8 BGR; the input is left as it is.

    Raises:
        ValueError: If a shape or type does not fit.
    """
    _check_image(image)
    if anomaly_map.ndim != 2:
        raise ValueError(f'an anomaly map has two dimensions, got shape {anomaly_map.shape}')
    size = image.shape[1::-1]
    inside = np.isfinite(anomaly_map) & (anomaly_map >= 0) & (anomaly_map <= 1)
    known = np.where(inside, anomaly_map, 0).astype(np.float32)
    values = np.clip(cv2.resize(known, size, interpolation=cv2.INTER_LINEAR), 0, 1)
    shown = cv2.resize(inside.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)[..., None] > 0
    colours = cv2.applyColorMap(np.round(values * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    mixed = np.round((1 - alpha) * image + alpha * colours).astype(np.uint8)
    return np.where(shown, mixed, image)


def draw_boxes(image: np.ndarray, boxes: np.ndarray, kind: str, texts: Sequence[str] = (),
               scale: int = 1) -> np.ndarray:
    """Draw boxes of one kind in its colour.

    The frame lies on the outermost pixels of the box, inside it: boxes that share a border stay apart.

    Args:
        image: (H, W, 3) uint8 BGR.
        boxes: (N, 4) half-open xyxy in pixels of the image.
        kind: A key of ``BOX_COLOURS``.
        texts: One short text per box, or none at all.
        scale: Enlarge the picture by this factor first, so that lines are thin and texts can be read.

    Returns:
        (scale * H, scale * W, 3) uint8 BGR; the input is left as it is.

    Raises:
        ValueError: If a shape or type does not fit, or texts and boxes are not as many.
        KeyError: If there is no such kind.
    """
    _check_image(image)
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    if kind not in BOX_COLOURS:
        raise KeyError(f'unknown kind of box {kind!r}; there are: {", ".join(BOX_COLOURS)}')
    if len(texts) not in (0, len(boxes)):
        raise ValueError(f'{len(boxes)} boxes, but {len(texts)} texts; give one per box or none')
    colour = BOX_COLOURS[kind]
    picture = image.copy()
    if scale > 1:
        picture = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    corners = np.round(boxes * scale).astype(int).tolist()
    for left, top, right, bottom in corners:
        for inset in range(min(scale, 1 + (min(right - left, bottom - top) - 1) // 2)):
            far = (right - 1 - inset, bottom - 1 - inset)
            cv2.rectangle(picture, (left + inset, top + inset), far, colour)
    for (left, top, _, _), text in zip(corners, texts, strict=False):
        _write_text(picture, text, (left, top), colour)
    return picture


def _write_text(picture: np.ndarray, text: str, corner: tuple[int, int], colour: tuple[int, int, int]) -> None:
    """Write above the corner, or below it where there is no room, dark on the colour, inside the picture."""
    font, size = cv2.FONT_HERSHEY_SIMPLEX, 0.5
    (width, height), base = cv2.getTextSize(text, font, size, 1)
    left = int(np.clip(corner[0], 0, max(0, picture.shape[1] - width)))
    bottom = corner[1] if corner[1] >= height + base else corner[1] + height + base
    cv2.rectangle(picture, (left, bottom - height - base), (left + width, bottom), colour, cv2.FILLED)
    cv2.putText(picture, text, (left, bottom - base // 2 - 1), font, size, (0, 0, 0), 1, cv2.LINE_AA)


def compose_panels(rows: Sequence[Sequence[np.ndarray]], titles: Sequence[str],
                   caption: str = '', kinds: Sequence[str] = tuple(BOX_COLOURS)) -> np.ndarray:
    """Set pictures in rows and columns under column titles, with the legend of the box colours below.

    Args:
        rows: Rows of (H, W, 3) uint8 BGR pictures, as many in each row as there are titles.
        titles: Title of each column.
        caption: A line above the titles.
        kinds: The kinds of boxes that the legend names; none, no legend.

    Returns:
        (height, width, 3) uint8 BGR.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If there is no row, or a row has not one picture per title.
    """
    import_optional('matplotlib', 'compose_panels', 'matplotlib>=3.7')
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch
    counts = [len(row) for row in rows]
    if set(counts) != {len(titles)}:
        raise ValueError(f'{len(titles)} titles need rows of as many pictures, got rows of {counts}')
    # a figure of its own, not pyplot: no global state, no display
    figure = Figure(figsize=(2.6 * len(titles), 2.6 * len(rows) + 0.9), dpi=140, layout='constrained')
    canvas = FigureCanvasAgg(figure)
    grid = figure.subplots(len(rows), len(titles), squeeze=False)
    for row, axes in zip(rows, grid, strict=True):
        for picture, axis in zip(row, axes, strict=True):
            _check_image(picture)
            axis.imshow(picture[..., ::-1], interpolation='lanczos')
            axis.set_axis_off()
    for title, axis in zip(titles, grid[0], strict=True):
        axis.set_title(title, fontsize=11)
    if caption:
        figure.suptitle(caption, fontsize=12)
    patches = []
    for kind in kinds:
        blue, green, red = (value / 255 for value in BOX_COLOURS[kind])
        patches.append(Patch(facecolor='none', edgecolor=(red, green, blue), linewidth=2, label=kind))
    if patches:
        figure.legend(handles=patches, loc='outside lower center', ncols=len(patches), frameon=False, fontsize=10)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., 2::-1])


def _check_image(image: np.ndarray) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f'an image is (H, W, 3) uint8 BGR, got shape {image.shape} of {image.dtype}')
