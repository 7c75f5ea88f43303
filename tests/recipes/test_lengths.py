import pytest

from agssp_mm.recipes.lengths import choose_passes


@pytest.mark.parametrize('passes, num_images, chosen', [
    (6, 3_780, 6), (6, 100_000, 6), (6, 2_520, 9), (5, 3_000, 6), (6, 1_260, 18), (5, 395, 15), (5, 1, 15), (0, 40, 0)])
def test_small_folders_are_passed_over_more_often(passes, num_images, chosen):
    assert choose_passes(passes, num_images) == chosen
