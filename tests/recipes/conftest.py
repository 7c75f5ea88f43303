"""What the tests of the recipes share: real configs of MMDetection, made small."""
import copy

import pytest
from mmengine.config import Config
from mmengine.hub import get_config

from agssp_mm.recipes import RecipeSettings

_TINY_RESNET = dict(depth=18, base_channels=4)
_CHANNELS = [4, 8, 16, 32]


@pytest.fixture
def shrunk():
    """Read a config of MMDetection and put its detector on a ResNet-18 of a sixteenth of the width, without weights."""
    def read(name, **model):
        config = copy.deepcopy(get_config(f'mmdet::{name}'))
        inner = config.model.get('detector', config.model)
        if inner.backbone.type == 'ResNet':
            inner.backbone.update(**_TINY_RESNET, init_cfg=None)
            wanted = [_CHANNELS[index] for index in inner.backbone.out_indices]
            inner.neck.in_channels = wanted if isinstance(inner.neck.in_channels, list) else wanted[-1]
        config.merge_from_dict(dict(model=model))
        return Config(config.to_dict())
    return read


@pytest.fixture
def settings(tmp_path):
    """Settings of a run in the test's folder; further ones go before."""
    def make(**more):
        chosen = dict(images=str(tmp_path / 'data' / 'images'), store=str(tmp_path / 'maps'), out=str(tmp_path / 'out'),
                      num_images=4, image_size=64, batch_size=4, workers=0, agbp_epochs=1, agdp_epochs=1)
        return RecipeSettings(**{**chosen, **more})
    return make
