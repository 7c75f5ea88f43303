"""Closed forms of KeAD's scores."""
import math

import pytest
import torch

from agssp_mm.teachers import kead_scores
from agssp_mm.teachers.kead_scores import (anomaly_probability, few_shot_map, few_shot_score, text_directions,
                                           text_map)


def test_directions_lose_what_all_prompts_share():
    normal, anomalous, empty = torch.tensor([3., 4, 0]), torch.tensor([0., 4, 2]), torch.tensor([0., 4, 0])
    assert text_directions(normal, anomalous, empty).tolist() == [[1, 0, 0], [0, 0, 1]]
    assert torch.isfinite(text_directions(empty, anomalous, empty)).all()


def test_probability_is_a_softmax_at_a_fixed_temperature():
    directions = torch.eye(2)
    features = torch.tensor([[1., 0], [0, 1], [math.sqrt(0.5), math.sqrt(0.5)], [0.6, 0.8]])
    expected = torch.softmax(features / 0.07, -1)[:, 1]
    torch.testing.assert_close(anomaly_probability(features, directions), expected)
    assert expected[3].item() == pytest.approx(1 / (1 + math.exp(-0.2 / 0.07)))


def test_text_map_weighs_the_levels_and_keeps_images_apart():
    first, second = torch.tensor([1., 0]), torch.tensor([0., 1])
    tokens = torch.stack([first, second, second, second]).view(2, 2, 1, 2)  # level, image, patch
    directions = torch.stack([torch.stack([first, second]), torch.stack([second, first])])
    low, high = 1 / (1 + math.exp(1 / 0.07)), 1 / (1 + math.exp(-1 / 0.07))
    found = text_map(tokens, directions, (0.25, 0.75))
    torch.testing.assert_close(found, torch.tensor([[0.25 * low + 0.75 * high], [low]]))


@pytest.mark.parametrize('chunk', [1, 2, 2048])
def test_few_shot_map_is_half_the_distance_to_the_nearest(monkeypatch, chunk):
    monkeypatch.setattr(kead_scores, 'CHUNK', chunk)
    axes = torch.eye(3)
    tokens = torch.stack([axes[0], axes[1], -axes[0]])[None, None]
    memory = torch.stack([axes[2], axes[2], axes[0]])[None]
    assert few_shot_map(tokens, memory, (1.0,)).tolist() == [[0.0, 0.5, 0.5]]
    assert few_shot_map(tokens, axes[:1][None], (1.0,)).tolist() == [[0.0, 0.5, 1.0]]


def test_few_shot_map_is_never_negative():
    token = torch.nn.functional.normalize(torch.rand(1, 1, 500, 37, generator=torch.Generator().manual_seed(0)), dim=-1)
    assert (token[0, 0] @ token[0, 0].T).max() > 1  # rounding
    assert few_shot_map(token, token[0], (1.0,)).min() >= 0


def test_image_score_adds_the_peak_of_the_map():
    assert few_shot_score(torch.tensor([0.2]), torch.tensor([[0.1, 1.5, 0.3]])).item() == pytest.approx(0.85)
