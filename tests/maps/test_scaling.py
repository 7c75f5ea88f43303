"""Grey values of deep images: measured once per source, recorded, used again, never guessed per image."""
import json
import logging

import cv2
import numpy as np
import pytest

from agssp_mm.images import list_images, read_image
from agssp_mm.maps.generate import generate_maps
from agssp_mm.maps.store import MapStore


@pytest.fixture
def deep_folder(tmp_path):
    """Twelve-bit images in 16-bit files: six of a dark source, six of a bright one, 24x20 pixels each."""
    folder = tmp_path / 'deep'
    generator = np.random.default_rng(3)
    for source, offset in (('dark', 100), ('bright', 2000)):
        (folder / source).mkdir(parents=True)
        for number in range(6):
            image = generator.integers(offset, offset + 1000, (24, 20), dtype=np.uint16)
            cv2.imwrite(str(folder / source / f'{number}.png'), image)
    return folder


def pixels(folder):
    return np.concatenate([cv2.imread(str(path), cv2.IMREAD_UNCHANGED).ravel()
                           for path in sorted(folder.rglob('*.png'))])


def generate(deep_folder, teacher, store, sources=None, **settings):
    images = list_images(deep_folder, sources=sources)
    summary = generate_maps(images, teacher, store, batch_size=4, **settings)
    return MapStore.open(store), summary


def test_percentiles_are_measured_over_the_list_and_recorded(deep_folder, toy_teacher, tmp_path):
    store, summary = generate(deep_folder, toy_teacher, tmp_path / 'store', value_percentiles=(1, 99))
    expected = tuple(np.percentile(pixels(deep_folder), (1, 99)))
    assert store.meta['value_percentiles'] == [1, 99] and store.meta['value_range'] is None
    assert store.scaling.of('images') == pytest.approx(expected)
    assert f'grey values {expected[0]:g} to {expected[1]:g} of' in str(summary)
    scaled = [read_image(deep_folder / record.name, store.scaling.of(record.source)) for record in store.index]
    mean = np.mean([image.mean() for image in scaled])
    for record, image in zip(store.index, scaled, strict=True):  # what the teacher saw, told from its maps
        np.testing.assert_allclose(store.read_raw(record.name), np.abs(image[::4, ::4, 0] - mean), rtol=5e-3, atol=0.1)


def test_every_source_has_its_own_range(deep_folder, toy_teacher, tmp_path):
    store, _ = generate(deep_folder, toy_teacher, tmp_path / 'store', dict(dark='dark', bright='bright'),
                        value_percentiles=(0, 100))
    for source in ('dark', 'bright'):
        own = pixels(deep_folder / source)
        assert store.scaling.of(source) == (own.min(), own.max())
    assert store.source_of('bright/3.png') == 'bright'
    with pytest.raises(KeyError, match='new.png is not among the images of the map store'):
        store.source_of('new.png')


def test_a_continued_run_uses_the_recorded_range(deep_folder, toy_teacher, tmp_path):
    store, _ = generate(deep_folder, toy_teacher, tmp_path / 'store', value_percentiles=(1, 99))
    before = store.map_path('dark/0.png').read_bytes()
    meta = json.loads((store.path / 'maps.json').read_text())
    store.map_path('dark/0.png').unlink()
    cv2.imwrite(str(deep_folder / 'dark' / '5.png'), np.full((24, 20), 65535, np.uint16))  # would move the percentiles
    generate(deep_folder, toy_teacher, tmp_path / 'store', value_percentiles=(1, 99))
    assert store.map_path('dark/0.png').read_bytes() == before
    assert json.loads((store.path / 'maps.json').read_text())['value_ranges'] == meta['value_ranges']


def test_another_scaling_needs_another_store(deep_folder, toy_teacher, tmp_path):
    generate(deep_folder, toy_teacher, tmp_path / 'store', value_percentiles=(1, 99))
    with pytest.raises(ValueError, match='made with another value_percentiles'):
        generate(deep_folder, toy_teacher, tmp_path / 'store', value_percentiles=(2, 98))
    with pytest.raises(ValueError, match='made with another value_range'):
        generate(deep_folder, toy_teacher, tmp_path / 'store', value_range=(0, 4095))


def test_stores_of_earlier_versions_are_continued(deep_folder, toy_teacher, tmp_path):
    store, _ = generate(deep_folder, toy_teacher, tmp_path / 'store', value_range=(0, 4095))
    for name in ('value_percentiles', 'value_ranges'):
        del store.meta[name]
    (store.path / 'maps.json').write_text(json.dumps(store.meta))
    again, summary = generate(deep_folder, toy_teacher, tmp_path / 'store', value_range=(0, 4095))
    assert summary.num_written == 0 and again.scaling.of('images') == (0, 4095)


@pytest.mark.parametrize('settings, message', [
    (dict(value_range=(0, 5), value_percentiles=(1, 99)), 'were both given'),
    (dict(value_range=(5, 0)), 'value_range must be'), (dict(value_percentiles=(99, 1)), 'value_percentiles must be'),
    (dict(value_range=(5, float('nan'))), 'value_range must be')])
def test_bad_settings_stop_before_anything_is_written(deep_folder, toy_teacher, tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        generate(deep_folder, toy_teacher, tmp_path / 'store', **settings)
    assert not (tmp_path / 'store').exists()


def test_percentiles_of_eight_bit_images_are_refused(image_folder, toy_teacher, tmp_path):
    with pytest.raises(ValueError, match='percentiles scale images of more than 8 bits, but below .* there is none'):
        generate_maps(list_images(image_folder), toy_teacher, tmp_path / 'store', value_percentiles=(1, 99))


def test_names_play_no_part_in_the_measurement(deep_folder, toy_teacher, tmp_path, monkeypatch):
    monkeypatch.setattr('agssp_mm.maps.scaling.SCALING_IMAGES', 4)
    first, _ = generate(deep_folder, toy_teacher, tmp_path / 'a', value_percentiles=(1, 99))
    for number, path in enumerate(sorted(deep_folder.rglob('*.png'), reverse=True)):
        path.rename(deep_folder / f'{number}.png')
    second, _ = generate(deep_folder, toy_teacher, tmp_path / 'b', value_percentiles=(1, 99))
    assert first.scaling == second.scaling
    assert first.scaling.of('images') != pytest.approx(tuple(np.percentile(pixels(deep_folder), (1, 99))))  # a sample


def test_a_few_dark_deep_images_among_many_are_reported(deep_folder, toy_teacher, tmp_path, caplog):
    for path in sorted(deep_folder.rglob('*.png'))[1:]:
        path.unlink()
    for number in range(40):
        image = np.random.default_rng(number).integers(0, 255, (24, 20), np.uint8)
        cv2.imwrite(str(deep_folder / f'{number}.png'), image)
    generate(deep_folder, toy_teacher, tmp_path / 'store')
    assert 'nearly black' in caplog.text


def test_dark_deep_images_without_a_range_are_reported(deep_folder, toy_teacher, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        generate(deep_folder, toy_teacher, tmp_path / 'a')
    assert 'uint16 hold grey values up to about' in caplog.text and 'nearly black' in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        generate(deep_folder, toy_teacher, tmp_path / 'b', value_range=(0, 4095))
    assert 'nearly black' not in caplog.text


def test_the_command_line_takes_percentiles(deep_folder, tmp_path, capsys):
    from agssp_mm.cli import main
    arguments = ['generate-maps', str(deep_folder), str(tmp_path / 'store'), '--device', 'cpu']
    assert main([*arguments, '--value-percentiles', '1', '99']) == 0
    low, high = MapStore.open(tmp_path / 'store').scaling.of('images')
    assert f'grey values {low:g} to {high:g}' in capsys.readouterr().out
    assert main([*arguments, '--value-percentiles', '99', '1']) == 2
    assert 'value_percentiles must be' in capsys.readouterr().err
