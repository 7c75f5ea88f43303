import pytest

from agssp_mm.recipes.lengths import choose_passes


@pytest.mark.parametrize('passes, num_images, chosen', [
    (6, 1_260, 6), (6, 100_000, 6), (6, 395, 19), (5, 395, 16), (6, 630, 12), (6, 40, 24), (5, 1, 20), (0, 40, 0)])
def test_small_folders_are_passed_over_more_often(passes, num_images, chosen):
    assert choose_passes(passes, num_images) == chosen
