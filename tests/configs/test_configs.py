"""Every config parses, says what it needs and builds what it names."""
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import HOOKS, MODELS, DefaultScope

import agssp_mm  # noqa: F401

ROOT = Path(__file__).parents[2] / 'configs'
PAPER_ROWS = ('_cls', '_mocov3', '_simmim')  # how their folders end; test_paper_rows.py and test_paper_steps.py
ALL_CONFIGS = sorted(path for path in ROOT.glob('*/**/*.py') if '_base_' not in path.parts)
CONFIGS = [path for path in ALL_CONFIGS if not path.parent.name.endswith(PAPER_ROWS)]
DETECTORS = sorted(path.name for path in (ROOT / 'agssp').iterdir() if not path.name.endswith(PAPER_ROWS))


@pytest.fixture(autouse=True)
def no_data_root(monkeypatch):
    """Whoever runs the tests may keep the data in a folder of their own; the configs are tested as they are written."""
    monkeypatch.delenv('AGSSP_DATA_ROOT', raising=False)


def load(path):
    return Config.fromfile(str(path))


def test_base_names_are_unique():
    names = [path.name for path in ALL_CONFIGS]
    assert len(names) == len(set(names)) and len(names) >= 45


def values_of(node, name):
    """Every value that stands under this key, anywhere in the config."""
    if isinstance(node, dict):
        return [value for key, value in node.items() if key == name] + [
            found for value in node.values() for found in values_of(value, name)]
    return [found for value in node for found in values_of(value, name)] if isinstance(node, list | tuple) else []


def strings_of(node):
    """Every string value of a config."""
    if isinstance(node, dict):
        node = list(node.values())
    if isinstance(node, list | tuple):
        return [found for value in node for found in strings_of(value)]
    return [node] if isinstance(node, str) else []


@pytest.mark.parametrize('path', [path for path in CONFIGS if '_agdp' in path.stem], ids=lambda path: path.stem)
def test_defects_are_pasted_but_not_by_the_paper_nor_on_made_surfaces(path):
    steps = [step.type for step in load(path).train_dataloader.dataset.pipeline]
    without = path.stem.endswith('_agdp_paper') or path.parent.name == 'demo'
    assert ('PasteDefects' in steps) != without


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_config_is_an_ordinary_one_and_its_parts_build(path):
    config = load(path)
    assert 'agssp_mm' in config.custom_imports['imports']
    assert not [text for text in strings_of(config.to_dict()) if text.startswith('/')]  # no path of one machine
    assert not any(isinstance(classes, str) for classes in values_of(config.to_dict(), 'classes'))
    DefaultScope.get_instance(path.stem, scope_name=config.default_scope)
    model = MODELS.build(config.model)
    learning = [one for one in model.backbone.parameters() if one.requires_grad]
    model.train()  # several processes fail at the second step where more is frozen now, unless they are told
    assert config.get('find_unused_parameters') or all(one.requires_grad for one in learning)
    hooks = list(config.custom_hooks)
    assert hooks and [HOOKS.build(dict(hook)) for hook in hooks]


@pytest.mark.parametrize('name', DETECTORS)
def test_each_stage_takes_up_what_the_one_before_wrote(name):
    stages = {stage: load(ROOT / 'agssp' / name / f'{name}_{stage}.py') for stage in ('agbp', 'agdp', 'finetune')}
    assert stages['agdp'].load_from == f'work_dirs/{name}_agbp/backbone.pth'
    assert stages['finetune'].load_from == f'work_dirs/{name}_agdp/detector.pth'
    assert stages['agbp'].map_store == stages['agdp'].map_store
    assert stages['agdp'].train_dataloader.dataset.type == 'PseudoBoxDataset'
    assert any(hook.type == 'DistillationPretrainer' for hook in stages['agbp'].custom_hooks)


@pytest.mark.parametrize('name', DETECTORS)
def test_stages_share_backbone_and_normalisation(name):
    stages = [load(ROOT / 'agssp' / name / f'{name}_{stage}.py').model for stage in ('agbp', 'agdp', 'finetune')]

    def essence(model):
        own = {'init_cfg', 'frozen_stages', 'norm_eval'}
        prepare = {key: model.data_preprocessor.get(key) for key in ('mean', 'std')}
        backbone = {key: value for key, value in model.backbone.items() if key not in own}
        return prepare, bool(model.data_preprocessor.get('bgr_to_rgb')), backbone

    assert essence(stages[0]) == essence(stages[1]) == essence(stages[2])


@pytest.mark.parametrize('name', DETECTORS)
def test_agdp_has_one_class_and_trains_the_backbone_but_its_statistics(name):
    config = load(ROOT / 'agssp' / name / f'{name}_agdp.py')
    DefaultScope.get_instance(f'agdp-{name}', scope_name='mmdet')
    model = MODELS.build(config.model).train()
    assert sum(parameter.requires_grad for parameter in model.backbone.parameters()) > 10
    assert not any(hook.type == 'FreezeHook' for hook in config.custom_hooks)
    kept_by_hook = any(hook.type == 'NormEvalHook' for hook in config.custom_hooks)
    assert kept_by_hook or not [module for module in model.backbone.modules()
                                if 'BatchNorm' in type(module).__name__ and module.training]


@pytest.mark.parametrize('name', DETECTORS)
def test_a_second_round_has_boxes_in_place_of_a_rule(name):
    first, second = (load(ROOT / 'agssp' / name / f'{name}_{stage}.py') for stage in ('agdp', 'agdp_round2'))
    assert second.train_dataloader.dataset.boxes == f'work_dirs/{name}_agdp/boxes_round2.json'
    assert second.train_dataloader.dataset.rule is None and first.train_dataloader.dataset.rule is not None
    assert second.load_from == first.load_from and second.model == first.model


@pytest.mark.parametrize('name', ['retinanet_efficientnet-lite0', 'atss_efficientnet-lite0'])
def test_agdp_from_imagenet_starts_from_the_weights_of_the_baseline(name):
    usual, config, baseline = (load(ROOT / 'agssp' / name / f'{name}_{stage}.py')
                               for stage in ('agdp', 'agdp_imagenet', 'imagenet'))
    assert config.load_from is None and config.model.backbone == baseline.model.backbone
    assert config.model.bbox_head == usual.model.bbox_head and config.custom_hooks == usual.custom_hooks
    assert config.train_cfg.max_epochs == config.param_scheduler[1].T_max == 18


@pytest.mark.parametrize('name', DETECTORS)
def test_agdp_of_the_paper_has_one_class_and_leaves_no_backbone_parameter_to_train(name):
    config = load(ROOT / 'agssp' / name / f'{name}_agdp_paper.py')
    DefaultScope.get_instance(f'agdp-{name}', scope_name='mmdet')
    model = MODELS.build(config.model)
    classes = {module.num_classes for module in model.modules() if hasattr(module, 'num_classes')
               and type(module).__name__ != 'RPNHead'}
    assert classes == {1}
    model.train()
    trained = [parameter for parameter in model.backbone.parameters() if parameter.requires_grad]
    statistics = [module for module in model.backbone.modules()
                  if 'BatchNorm' in type(module).__name__ and module.training]
    frozen_by_hook = any(hook.type == 'FreezeHook' and 'backbone' in hook.modules for hook in config.custom_hooks)
    assert frozen_by_hook or not (trained or statistics)
