"""Finding and reading images."""
from .keys import content_key
from .listing import ImageEntry, ImageList, list_images
from .reading import UnreadableImageError, decode_image, read_image

__all__ = ['ImageEntry', 'ImageList', 'UnreadableImageError', 'content_key', 'decode_image', 'list_images',
           'read_image']
