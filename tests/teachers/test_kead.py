"""KeADTeacher as a teacher: equal to the slow reference, and every setting does what it says."""
import json
import logging
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import TASK_UTILS
from PIL import Image

from agssp_mm.images import list_images
from agssp_mm.maps.generate import generate_maps
from agssp_mm.maps.store import MapStore
from agssp_mm.teachers.kead import KeADTeacher
from agssp_mm.teachers.prompts import TEMPLATES, load_texts

sys.path.insert(0, str(Path(__file__).parent))
from kead_toys import (FEW_TEMPLATES, TEXTS, one_thread, reference_maps, reference_texts, reference_tower,  # noqa: E402, F401
                       reference_transform, toy_config, toy_images, write_clip, write_texts)

SOURCES = {name: name for name in TEXTS}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('kead')
    write_clip(folder)
    write_texts(folder)
    return folder


@pytest.fixture
def build(folder):
    def build(**settings):
        common = dict(model=folder / 'model.json', pretrained=folder / 'weights.pt', texts=folder / 'texts.json',
                      templates=FEW_TEMPLATES, text_class='plate')
        return TASK_UTILS.build(dict(type='KeADTeacher', **common | settings))
    return build


def reference(folder, teacher, image, name, surgery, aliased, normals):
    state = torch.load(folder / 'weights.pt', weights_only=True)

    def tower(picture):
        return reference_tower(state, toy_config(), reference_transform(picture, 32), surgery, aliased,
                               (3, 6, 9, 12), 10)

    texts = reference_texts(lambda prompts: teacher.clip.model.encode_text(teacher.clip.tokenizer(prompts)),
                            TEXTS[name], FEW_TEMPLATES)
    pictures = [np.asarray(Image.open(folder / normal))[..., ::-1] for normal in normals]
    memory = torch.cat([tower(picture)[0][:, 1:] for picture in pictures], 1) if pictures else None
    return reference_maps(*tower(image), texts, memory)


@pytest.mark.parametrize('surgery, levels', [('vv_res', 'distinct'), ('vv_res', 'aliased'), ('vv', 'distinct')])
def test_maps_and_scores_equal_the_slow_reference(build, folder, surgery, levels):
    teacher = build(surgery=surgery, levels=levels, text_class=SOURCES)
    names, images = ['pipe', 'plate', 'rail'], toy_images(3)
    maps, scores = teacher.predict(images, sources=names)
    assert all(raw.shape == (4, 4) and raw.dtype == np.float32 for raw in maps) and scores.dtype == np.float32
    for row, name in enumerate(names):
        text, few, zero_shot, few_shot = reference(folder, teacher, images[row], name, surgery, levels == 'aliased',
                                                   TEXTS[name]['samples'])
        np.testing.assert_allclose(maps[row].ravel(), text + few, atol=1e-4)
        np.testing.assert_allclose(scores[row], few_shot, atol=1e-4)
        assert (few.max() > 0) == bool(TEXTS[name]['samples'])


def test_without_normals_the_map_is_the_text_map_and_the_score_the_zero_shot_score(build, folder):
    teacher, images = build(num_normals=0), toy_images(2)
    maps, scores = teacher.predict(images)
    for row, image in enumerate(images):
        text, _, zero_shot, _ = reference(folder, teacher, image, 'plate', 'vv_res', False, [])
        np.testing.assert_allclose(maps[row].ravel(), text, atol=1e-4)
        np.testing.assert_allclose(scores[row], zero_shot, atol=1e-4)
    assert teacher.calibration_scale == 2.0 and not teacher.needs_fit


def test_k_counts_and_the_seed_chooses(build, folder):
    """Unlike the published code, which takes all samples whatever k is."""
    image = toy_images(1)
    all_three, two = build(), build(num_normals=2)
    assert all_three.references.memory('plate').shape == (4, 48, 12)
    assert two.references.memory('plate').shape == (4, 32, 12)
    assert two.predict(image).maps[0].sum() > all_three.predict(image).maps[0].sum()
    singles = {round(float(build(num_normals=1, seed=seed).predict(image).maps[0].sum()), 5) for seed in range(6)}
    assert 1 < len(singles) <= 3
    given = build(normals=[folder / 'pipe_0.png'])
    text, few, *_ = reference(folder, given, image[0], 'plate', 'vv_res', False, ['pipe_0.png'])
    np.testing.assert_allclose(given.predict(image).maps[0].ravel(), text + few, atol=1e-4)


def test_a_normal_image_itself_has_the_few_shot_map_zero(build, folder):
    image = np.ascontiguousarray(np.asarray(Image.open(folder / 'plate_1.png'))[..., ::-1])
    output = build().analyse([image, *toy_images(1)], ['plate', 'plate'])
    assert output.few_shot_map[0].max() < 1e-6 and output.few_shot_map[1].min() > 0.01


def test_batches_and_sizes_change_nothing(build):
    teacher, images = build(), [*toy_images(2), *toy_images(1, (90, 33), seed=2)]
    together = teacher.predict(images)
    assert all(np.array_equal(first, second)
               for first, second in zip(together.maps, teacher.predict(images).maps))
    for row, image in enumerate(images):
        alone = teacher.predict([image])
        np.testing.assert_allclose(alone.maps[0], together.maps[row], atol=1e-5)
        np.testing.assert_allclose(alone.scores[0], together.scores[row], atol=1e-5)


def test_settings_rebuild_the_teacher(build, folder):
    for given in (dict(), dict(text_class={'mill': 'pipe', 'yard': None}, normals={'pipe': [folder / 'pipe_0.png']}),
                  dict(tiles='short', amp='bf16', num_normals=1, feature_layers=(6, 12), dpam_layer=4)):
        teacher = build(**given)
        settings = teacher.settings
        again = TASK_UTILS.build(dict(type='KeADTeacher', **settings))
        assert again.settings == settings == json.loads(json.dumps(settings))
        sources = ['mill'] if teacher.uses_sources else None
        assert np.array_equal(teacher.predict(toy_images(1), sources).maps[0],
                              again.predict(toy_images(1), sources).maps[0])
    assert set(build().settings['texts']) == {'plate'}


def test_state_holds_texts_and_memory_and_only_fits_the_same_settings(build, tmp_path):
    teacher, image = build(), toy_images(1)
    torch.save(teacher.state_dict(), tmp_path / 'state.pt')
    state = torch.load(tmp_path / 'state.pt', weights_only=True)
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == {
        'made_from': (32,), 'text.plate': (3, 12), 'memory.plate': (4, 48, 12)}
    restored = build()
    restored.clip.encode_prompts = restored._patches = None  # neither texts nor normals may be encoded again
    restored.load_state_dict(state)
    assert np.array_equal(restored.predict(image).maps[0], teacher.predict(image).maps[0])
    for other in (dict(templates=FEW_TEMPLATES[:1]), dict(surgery='vv'), dict(image_size=64), dict(amp='bf16')):
        with pytest.raises(ValueError, match='made with other settings .model, weights, texts'):
            build(**other).load_state_dict(state)
    with pytest.raises(ValueError, match=r"must hold \['made_from', 'text.plate'\], got .*'memory.plate'"):
        build(num_normals=0).load_state_dict(state)
    restored.load_state_dict({})
    with pytest.raises(TypeError):  # forgotten: it would have to encode
        restored.predict(image)


def test_texts_and_memory_are_cached_by_content(build, folder, tmp_path):
    def run(**settings):
        teacher = build(cache_dir=tmp_path / 'cache', **settings)
        maps = teacher.predict(toy_images(1)).maps[0]
        return maps, {path.name: path.stat().st_mtime_ns for path in (tmp_path / 'cache').iterdir()}

    maps, files = run()
    assert sorted(name.split('-')[0] for name in files) == ['kead_memory', 'kead_text']
    again, same_files = run()
    assert same_files == files and np.array_equal(again, maps)
    assert len(run(surgery='vv')[1]) == 3  # the same texts, another memory
    assert len(run(templates=FEW_TEMPLATES[:1], surgery='vv')[1]) == 4
    copies = tmp_path / 'copies'
    copies.mkdir()
    for number in range(3):
        (copies / f'renamed_{2 - number}.png').write_bytes((folder / f'plate_{number}.png').read_bytes())
    assert len(run(normals=copies)[1]) == 4  # other names, the same content
    Image.fromarray(np.zeros((8, 8, 3), dtype=np.uint8)).save(copies / 'renamed_0.png')
    assert len(run(normals=copies)[1]) == 5


def test_large_memories_are_thinned_out_the_same_way_each_time(build, monkeypatch):
    full = build().references.memory('plate')
    monkeypatch.setattr('agssp_mm.teachers.kead_references.MAX_MEMORY', 20)
    first, second = build().references.memory('plate'), build().references.memory('plate')
    assert first.shape == (4, 20, 12) and torch.equal(first, second)
    assert all((full == patch[:, None]).all(-1).all(0).any() for patch in first.unbind(1))


def test_a_finer_grid(build):
    maps, _ = build(image_size=64).predict(toy_images(1))
    assert maps[0].shape == (8, 8) and np.isfinite(maps[0]).all()
    assert np.array_equal(build(image_size=32).predict(toy_images(1)).maps[0], build().predict(toy_images(1)).maps[0])


@pytest.mark.parametrize('amp', ['bf16', 'fp16'])
def test_reduced_precision_stays_close(build, amp):
    exact, fast = build().predict(toy_images(2)), build(amp=amp).predict(toy_images(2))
    difference = max(np.abs(first - second).max() for first, second in zip(exact.maps, fast.maps))
    assert 0 < difference < 0.05
    assert fast.maps[0].dtype == np.float32


def test_tiles_keep_the_aspect_ratio(build):
    plain = build(num_normals=0)
    image = toy_images(1, (48, 144))[0]
    maps, scores = build(tiles=dict(size='short', overlap=0), num_normals=0).predict([image])
    parts = plain.predict([np.ascontiguousarray(image[:, start:start + 48]) for start in (0, 48, 96)])
    np.testing.assert_allclose(maps[0], np.concatenate(parts.maps, axis=1), atol=1e-5)
    np.testing.assert_allclose(scores[0], parts.scores.max(), atol=1e-5)
    assert np.abs(maps[0] - np.repeat(plain.predict([image]).maps[0], 3, axis=1)).max() > 0.01
    assert build(tiles='short', num_normals=0).predict(toy_images(1, (492, 3228)))[0][0].shape == (4, 26)


def test_normal_images_are_cut_into_tiles_of_the_same_size(build):
    assert build(tiles=16).references.memory('plate').shape == (4, 3 * 4 * 16, 12)
    # Smaller normal images, and smaller images, are one tile of their own size.
    assert build(tiles=64).references.memory('plate').shape == build().references.memory('plate').shape
    assert build(tiles=48, num_normals=0).predict(toy_images(1, (40, 40)))[0][0].shape == (
        build(num_normals=0).predict(toy_images(1, (40, 40)))[0][0].shape)


def test_sources_choose_the_texts_and_tiles_follow(build):
    teacher = build(text_class={'mill': 'pipe'}, tiles=20)
    image = toy_images(1)[0]
    maps, _ = teacher.predict([image, image], sources=['mill', 'yard'])
    alone = build(text_class='pipe', tiles=20).predict([image]).maps[0]
    np.testing.assert_allclose(maps[0], alone, atol=1e-5)
    assert np.abs(maps[1] - alone).max() > 0.01
    assert teacher.uses_sources and not build().uses_sources
    with pytest.raises(ValueError, match='give the source of each of the 1 images'):
        teacher.predict([image])


def test_a_store_of_two_sources_holds_the_maps_of_their_classes(build, tmp_path):
    images = toy_images(2)
    for name, image in zip(('mill', 'yard'), images):
        (tmp_path / 'images' / name).mkdir(parents=True)
        Image.fromarray(np.ascontiguousarray(image[..., ::-1])).save(tmp_path / 'images' / name / '1.png')
    teacher = build(text_class={'mill': 'pipe', 'yard': 'plate'}, num_normals=1)
    listed = list_images(tmp_path / 'images', sources={'mill': 'mill', 'yard': 'yard'})
    summary = generate_maps(listed, teacher, tmp_path / 'store', batch_size=2)
    assert summary.num_written == 2 and not summary.skipped
    store = MapStore.open(tmp_path / 'store')
    assert store.meta['teacher']['settings']['text_class'] == {'mill': 'pipe', 'yard': 'plate'}
    for name, image, text_class in zip(('mill', 'yard'), images, ('pipe', 'plate')):
        expected = build(text_class=text_class, num_normals=1).predict([image]).maps[0]
        np.testing.assert_allclose(store.read_raw(f'{name}/1.png'), expected, atol=1e-4)
    assert generate_maps(listed, teacher, tmp_path / 'store', batch_size=2).num_existing == 2
    with pytest.raises(ValueError, match='made with another teacher'):
        generate_maps(listed, build(text_class='pipe'), tmp_path / 'store', batch_size=2)


def test_shipped_texts_are_the_default(folder):
    teacher = KeADTeacher(folder / 'model.json', folder / 'weights.pt', text_class='rail')
    assert teacher.settings['texts'] == {'rail': load_texts()['rail'].to_dict()}
    assert teacher.settings['templates'] == list(TEMPLATES)
    default = KeADTeacher(folder / 'model.json', folder / 'weights.pt')
    assert set(default.settings['texts']) == {'generic_metal'} and default.truncated_prompts == []


def test_prompts_that_are_too_long_are_reported(build, caplog):
    texts = {'plate': dict(map='plate', des=dict(good=['{} ' + 'very ' * 70 + 'smooth'], defect=['{} bent']))}
    with caplog.at_level(logging.WARNING):
        teacher = build(texts=texts)
    assert [(found.class_name, found.num_tokens) for found in teacher.truncated_prompts] == [
        ('plate', 79), ('plate', 80)]
    assert '2 of 20 prompts are longer than the 77 tokens of the text tower and lose their end: plate: ' in caplog.text
    assert 'very very' in caplog.text and '(80 tokens)' in caplog.text


@pytest.mark.parametrize('settings, message', [
    (dict(amp='fp8'), "amp must be one of .None, 'bf16', 'fp16'., got 'fp8'"),
    (dict(templates='a {}'), 'templates must be a list'), (dict(templates=[]), 'templates must be a list'),
    (dict(templates=['a {}', 'b']), r'templates\[1\] must hold exactly one {} slot'),
    (dict(text_class='tube'), "asks for .'tube'., but the texts describe .'pipe', 'plate', 'rail'."),
    (dict(num_normals=4), "3 normal images of class 'plate', but num_normals=4 asks for more"),
    (dict(surgery='qq'), 'surgery must be one of'), (dict(dpam_layer=1), r'dpam_layer must lie in \[2, 13\]'),
    (dict(feature_layers=[3, 24]), r'rising block numbers in \[1, 12\]'), (dict(tiles=2), 'size of tiles must be'),
    (dict(pretrained='laion400m_e32'), "unknown weights 'laion400m_e32' for '.*model.json'; give the path"),
])
def test_bad_settings_are_refused_at_once(build, settings, message):
    with pytest.raises(ValueError, match=message):
        build(**settings)


@pytest.mark.parametrize('image', [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)),
                                   np.zeros((0, 4, 3), np.uint8)])
def test_what_is_no_image_is_refused(build, image):
    with pytest.raises(ValueError, match=r'takes \(H, W, 3\) uint8 BGR images, got'):
        build(num_normals=0).predict([image])


def test_features_that_are_not_finite_are_refused(build):
    for part, message in (('text_projection', "text features of class 'plate' are not finite"),
                          ('visual.proj', "normal images of class 'plate' are not finite")):
        teacher = build()
        teacher.clip.model.state_dict()[part][0, 0] = float('nan')
        with pytest.raises(ValueError, match=message):
            teacher.predict(toy_images(1))
    teacher = build(num_normals=0)
    teacher.clip.model.visual.proj[0, 0] = float('nan')
    with pytest.raises(ValueError, match='features of the vision tower are not finite'):
        teacher.predict(toy_images(1))


@pytest.mark.parametrize('name', ['kead_vv_res', 'kead_vv'])
def test_parity_with_the_published_code(name, monkeypatch, capsys):
    fixtures = os.environ.get('AGSSP_KEAD_FIXTURES')
    if not fixtures:
        pytest.skip('AGSSP_KEAD_FIXTURES names no folder of golden arrays')
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / 'tools' / 'benchmarks'))
    import kead_parity
    assert kead_parity.main([str(Path(fixtures) / name)]) == 0
    assert f"surgery={name.removeprefix('kead_')!r}" in capsys.readouterr().out
