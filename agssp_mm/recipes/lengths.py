"""How often the stages of the pretraining pass over a folder of images."""

#: From this many images on the passes are as given; the steps are those of three times as many over NEU-DET's 1,260.
_ENOUGH = 3_780
_MOST = 3  # times as many; more was not measured


def choose_passes(passes: int, num_images: int) -> int:
    """As many steps for a small folder as the recipe was chosen with: fewer images are passed over more often.

    Three times the passes gained on 395 magnetic tiles, which had lost mAP50 after the single ones, on 320 images of
    NEU-DET and on all of its images (``docs/research.md``). More than that was not measured.

    Args:
        passes: Over 3,780 images or more.
        num_images: Number of images, at least 1.

    Returns:
        ``passes``, or up to three times as many.

    Example:
        >>> choose_passes(6, 100_000), choose_passes(6, 2_520), choose_passes(6, 395)
        (6, 9, 18)
    """
    return max(passes, min(round(passes * _ENOUGH / num_images), _MOST * passes))
