"""Scalars and sample pictures of a training, read back from TensorBoard and from MMEngine's own files."""
import json

import pytest
import torch
from mmengine.hub import get_config
from mmengine.runner import Runner

from agssp_mm.datasets.synthetic import make_dataset
from agssp_mm.images import list_images
from agssp_mm.maps.generate import generate_maps
from agssp_mm.teachers.texture import TextureTeacher
from agssp_mm.visualization.anomaly_visualization_hook import AnomalyVisualizationHook


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = make_dataset(tmp_path_factory.mktemp('made'), num_images=4, size=64, seed=3, clean_share=0.0)
    generate_maps(list_images(folder / 'images'), TextureTeacher(), folder / 'maps')
    return folder


def detector():
    config = get_config('mmdet::retinanet/retinanet_r18_fpn_1x_coco.py').model
    config.backbone.update(base_channels=4, init_cfg=None)
    config.neck.in_channels = [4, 8, 16, 32]
    config.bbox_head.num_classes = 1
    config.test_cfg.score_thr = 0.0
    config.data_preprocessor.update(pad_seg=True, seg_pad_value=255)
    return config


def train(data, work_dir, hooks, backends, model=None):
    """Joint training: pseudo boxes, and the maps distilled into the backbone; four steps."""
    torch.manual_seed(0)
    pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True),
                dict(type='AnomalyMapGenerator', store=str(data / 'maps'), image_root=str(data / 'images')),
                dict(type='RandomFlip', prob=0.5), dict(type='PackDetInputs')]
    dataset = dict(type='PseudoBoxDataset', images=str(data / 'images'), store=str(data / 'maps'),
                   rule=dict(type='ComponentTreeBoxRule'), pipeline=pipeline)
    runner = Runner(
        model=model or detector(), work_dir=str(work_dir), default_scope='mmdet', experiment_name=work_dir.name,
        train_dataloader=dict(batch_size=2, dataset=dataset, sampler=dict(type='DefaultSampler', shuffle=True),
                              collate_fn=dict(type='pseudo_collate')),
        train_cfg=dict(by_epoch=True, max_epochs=2), optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.001)),
        default_hooks=dict(logger=dict(type='LoggerHook', interval=1), checkpoint=None, **hooks),
        custom_hooks=[dict(type='DistillationPretrainer')], log_level='ERROR', randomness=dict(seed=0),
        visualizer=dict(type='DetLocalVisualizer', name=work_dir.name, vis_backends=backends),
        cfg=dict(work_dir=str(work_dir)))
    runner.train()
    runner.visualizer.close()
    return runner


PICTURES = dict(pictures=dict(type='AnomalyVisualizationHook', interval=2, num_images=1, score_threshold=0.0))


def test_tensorboard_and_the_log_hold_scalars_and_pictures(data, tmp_path):
    event_accumulator = pytest.importorskip('tensorboard.backend.event_processing.event_accumulator')
    backends = [dict(type='TensorboardVisBackend'), dict(type='LocalVisBackend')]
    runner = train(data, tmp_path / 'with', PICTURES, backends)
    folder = next((tmp_path / 'with').glob('*/vis_data'))
    board = event_accumulator.EventAccumulator(str(folder), dict(images=0, scalars=0))
    board.Reload()
    lines = [json.loads(line) for line in (folder / 'scalars.json').read_text().splitlines()]
    # one machine-readable line per interval, the same numbers as on the board
    assert [line['step'] for line in lines] == [1, 2, 3, 4]
    for name in ('loss', 'lr', 'loss_anomaly_s3', 'agreement_s3', 'loss_cls', 'time', 'data_time'):
        assert [line[name] for line in lines] == pytest.approx([event.value for event in board.Scalars(name)], rel=1e-4)
    assert set(board.Tags()['images']) == {'train_map_0', 'train_boxes_0', 'train_predictions_0'}
    for name in board.Tags()['images']:
        events = board.Images(name)
        assert [event.step for event in events] == [0, 2]
        assert (events[0].width, events[0].height) == (64, 64)
        assert (folder / 'vis_image' / f'{name}_2.png').stat().st_size > 1000
    assert len({event.encoded_image_string for event in board.Images('train_map_0')}) == 2
    # looking on changed nothing
    without = train(data, tmp_path / 'without', {}, [dict(type='LocalVisBackend')])
    for name, value in runner.model.state_dict().items():
        assert torch.equal(value, without.model.state_dict()[name]), name


def test_the_backbone_of_stage_1_is_asked_for_no_boxes(data, tmp_path):
    model = dict(type='BackbonePretrainer', backbone=dict(type='ResNet', depth=18, base_channels=4))
    train(data, tmp_path / 'agbp', PICTURES, [dict(type='LocalVisBackend')], model)
    pictures = {path.name for path in (tmp_path / 'agbp').glob('*/vis_data/vis_image/*.png')}
    assert {'train_map_0_0.png', 'train_map_0_2.png'} <= pictures
    assert not [name for name in pictures if 'predictions' in name]


def test_weights_and_biases_keeps_them_offline(data, tmp_path):
    wandb = pytest.importorskip('wandb')
    settings = dict(mode='offline', project='agssp', dir=str(tmp_path))
    train(data, tmp_path / 'wandb_run', PICTURES, [dict(type='WandbVisBackend', init_kwargs=settings)])
    wandb.finish()
    kept = next(tmp_path.glob('**/offline-run-*'))
    assert list(kept.glob('*.wandb'))
    names = {path.name.rsplit('_', 2)[0] for path in kept.glob('files/media/images/*.png')}
    assert names == {'train_map_0', 'train_boxes_0', 'train_predictions_0'}


def test_mlflow_keeps_them_in_files(data, tmp_path, monkeypatch):
    mlflow = pytest.importorskip('mlflow')
    monkeypatch.setenv('MLFLOW_ALLOW_FILE_STORE', 'true')
    uri = (tmp_path / 'tracked').as_uri()
    train(data, tmp_path / 'mlflow_run', PICTURES,
          [dict(type='MLflowVisBackend', tracking_uri=uri, exp_name='agssp'), dict(type='LocalVisBackend')])
    client = mlflow.tracking.MlflowClient(uri)
    runs = client.search_runs([client.get_experiment_by_name('agssp').experiment_id])
    run = max(runs, key=lambda one: len(one.data.metrics))  # closing the visualizer twice starts an empty one
    lines = next((tmp_path / 'mlflow_run').glob('*/vis_data/scalars.json')).read_text().splitlines()
    tracked = [metric.value for metric in client.get_metric_history(run.info.run_id, 'loss')]
    assert tracked == pytest.approx([json.loads(line)['loss'] for line in lines], rel=1e-4)
    pictures = {path.name for path in (tmp_path / 'tracked').rglob('*.png')}
    assert pictures == {f'train_{kind}_0_{step}.png' for kind in ('map', 'boxes', 'predictions') for step in (0, 2)}


@pytest.mark.parametrize('settings, message', [
    (dict(interval=0), 'must be at least 1, got 0 and 2'),
    (dict(num_images=0), 'must be at least 1, got 200 and 0'),
    (dict(score_threshold=1.5), r'score_threshold must lie in \[0, 1\], got 1.5'),
])
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        AnomalyVisualizationHook(**settings)
