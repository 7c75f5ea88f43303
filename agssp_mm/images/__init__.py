"""Finding and reading images."""
from .errors import UnreadableImageError
from .keys import content_key
from .listing import ImageEntry, ImageList, list_images
from .reading import decode_image, decode_values, read_image
from .scaling import ValueRange, ValueScaling

__all__ = ['ImageEntry', 'ImageList', 'UnreadableImageError', 'ValueRange', 'ValueScaling', 'content_key',
           'decode_image', 'decode_values', 'list_images', 'read_image']
