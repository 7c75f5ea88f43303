import hashlib

from mmengine.model.weight_init import PretrainedInit
from mmengine.registry import MODELS

from agssp_mm.checkpoints.export import save_checkpoint
from agssp_mm.engine.weight_sources import describe_parents, pretrained_sources


def test_only_checkpoints_are_sources(toys):
    model = MODELS.build(toys.model(init_cfg=dict(type='Pretrained', checkpoint='b.pth')))
    model.backbone.init_cfg = [dict(type='Kaiming', layer='Conv2d'),
                               dict(type='Pretrained', checkpoint='a.pth', prefix='backbone.'),
                               dict(type=PretrainedInit, checkpoint='c.pth', prefix='backbone'),
                               dict(type='mmengine.model.weight_init.PretrainedInit', checkpoint='e.pth')]
    # MMEngine initialises its own modules only.
    model.backbone.stages.init_cfg = dict(type='Pretrained', checkpoint='d.pth')
    found = [(source.name, source.module, source.checkpoint, source.prefix) for source in pretrained_sources(model)]
    assert found == [('', model, 'b.pth', ''), ('backbone', model.backbone, 'a.pth', 'backbone.'),
                     ('backbone', model.backbone, 'c.pth', 'backbone.'), ('backbone', model.backbone, 'e.pth', '')]


def test_parents_carry_their_hash_where_there_is_a_file(make_runner, tmp_path):
    path = tmp_path / 'parent.pth'
    save_checkpoint(path, MODELS.build(dict(type='ToyBackbone')).state_dict())
    runner = make_runner(load_from='https://example.org/zoo.pth')
    runner.model.backbone.init_cfg = [dict(type='Pretrained', checkpoint=str(path)),
                                      dict(type='EfficientNetLiteImageNet', variant='lite0')]
    wanted = hashlib.sha256(path.read_bytes()).hexdigest()
    lite = '579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db'
    assert describe_parents(runner) == [
        dict(into='backbone', checkpoint=str(path), sha256=wanted),
        dict(into='backbone', checkpoint='efficientnet-lite0-57934424.pth', sha256=lite),
        dict(into='load_from', checkpoint='https://example.org/zoo.pth', sha256=None)]
