"""What goes wrong with single images."""


class UnreadableImageError(ValueError):
    """A file that is no image, is empty, is damaged, or holds what cannot be shown as grey values."""
