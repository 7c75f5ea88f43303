"""What a map store knows about each image and each source."""
from typing import NamedTuple


class MapRecord(NamedTuple):
    """One stored map.

    Attributes:
        name: POSIX path of the image below its root.
        source: Declared part of the set.
        height: Height of the stored image in pixels.
        width: Width of the stored image in pixels.
        key: Content key of the image file: the order of everything.
        score: The teacher's image score.
        peak: Largest raw value of the map, before it was rounded to 16 bits.
    """

    name: str
    source: str
    height: int
    width: int
    key: str
    score: float
    peak: float


class SourceStatistics(NamedTuple):
    """Statistics of the maps of one source.

    Attributes:
        num_images: Number of maps.
        mean_peak: Mean over images of the largest raw value: the paper's mu.
        quantiles: Quantiles of all calibrated values, keyed '0.5', '0.9', '0.95', '0.99', '0.999'.
    """

    num_images: int
    mean_peak: float
    quantiles: dict[str, float]
