"""A backbone, data and runners that are small, and know neither mmdet nor mmpretrain."""
import itertools
from types import SimpleNamespace

import pytest
import torch
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import nn
from torch.utils.data import Dataset

import agssp_mm  # noqa: F401  registers the types

_RUN_NUMBERS = itertools.count()


@MODELS.register_module()
class ToyBackbone(BaseModule):
    """Three levels with strides 2, 4 and 8; no statistics, so batches can be split without a difference."""

    out_indices = (0, 1, 2)

    def __init__(self, width=4, init_cfg=None):
        super().__init__(init_cfg)
        sizes = (3, width, width, width)
        self.stages = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in itertools.pairwise(sizes))

    def forward(self, x):
        levels = []
        for stage in self.stages:
            x = nn.functional.leaky_relu(stage(x), 0.1)
            levels.append(x)
        return tuple(levels)


class ToyMaps(Dataset):
    """Images of 32x32 with a bright square, and maps that are 0.9 there; `has_map=False` leaves the maps away."""

    metainfo = dict(classes=('anomaly',))

    def __init__(self, num_images=8, seed=0, has_map=True):
        generator = torch.Generator().manual_seed(seed)
        self.images = torch.rand(num_images, 3, 32, 32, generator=generator)
        self.maps = 0.2 * torch.rand(num_images, 32, 32, generator=generator)
        for image, one in zip(self.images, self.maps):
            top, left = (8 * torch.randint(0, 4, (2,), generator=generator)).tolist()
            image[:, top:top + 8, left:left + 8] += 2
            one[top:top + 8, left:left + 8] = 0.9
        self.has_map = has_map

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        sample = BaseDataElement(metainfo=dict(img_shape=(32, 32)))
        if self.has_map:
            sample.set_field(self.maps[index].clone(), 'gt_seg_map')
        return dict(inputs=self.images[index].clone(), data_samples=sample)


def toy_loader(dataset=None, batch_size=4, **more):
    """Batches in order, stacked."""
    return dict(dataset=dataset or ToyMaps(), batch_size=batch_size, sampler=dict(type='DefaultSampler', shuffle=False),
                collate_fn=dict(type='default_collate'), **more)


def toy_model(**more):
    """Config of a model that is only the toy backbone."""
    return dict(type='BackbonePretrainer', backbone=dict(type='ToyBackbone'),
                data_preprocessor=dict(type='BaseDataPreprocessor'), **more)


def count_hooks(model):
    """How many forward hooks there are on a model and its modules."""
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


@pytest.fixture
def toys():
    """The helpers above; test modules cannot import them."""
    return SimpleNamespace(Maps=ToyMaps, loader=toy_loader, model=toy_model, count_hooks=count_hooks)


@pytest.fixture
def make_runner(tmp_path):
    """Build a quiet runner of two epochs; keyword arguments replace its parts."""
    def make(model=None, hooks=(dict(type='DistillationPretrainer'),), loader=None, epochs=2, lr=0.1, **more):
        torch.manual_seed(0)
        arguments = dict(
            model=model or toy_model(), work_dir=str(tmp_path / 'run'),
            train_dataloader=loader or toy_loader(), train_cfg=dict(by_epoch=True, max_epochs=epochs),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=lr)), custom_hooks=list(hooks),
            default_hooks=dict(logger=None, checkpoint=None, timer=None), randomness=dict(seed=0), log_level='WARNING',
            default_scope='mmengine', experiment_name=f'run{next(_RUN_NUMBERS)}')
        arguments.update(more)
        return Runner(**arguments)
    return make
