"""How often the stages of the pretraining pass over a folder of images."""

#: Images of the set that the default passes were chosen on (NEU-DET's train), and the most that fewer are passed over.
_CHOSEN_ON, _MOST = 1_260, 4


def choose_passes(passes: int, num_images: int) -> int:
    """As many steps for a small folder as the recipe was chosen with: fewer images are passed over more often.

    395 magnetic tiles lost mAP50 after the passes of 1,260 images, and gained after three times as many
    (``docs/research.md``). Beyond four times as many nothing was measured.

    Args:
        passes: Over 1,260 images or more.
        num_images: Number of images, at least 1.

    Returns:
        ``passes``, or up to four times as many.

    Example:
        >>> choose_passes(6, 100_000), choose_passes(6, 395), choose_passes(6, 40)
        (6, 19, 24)
    """
    return max(passes, min(round(passes * _CHOSEN_ON / num_images), _MOST * passes))
