"""The page as written: one file, what it shows, and what it says is missing."""
import json
import os
import re
import shutil

import pytest
from PIL import Image

from agssp_mm.images import list_images
from agssp_mm.maps.generate import generate_maps
from agssp_mm.maps.store import MapStore
from agssp_mm.teachers.texture import TextureTeacher
from agssp_mm.visualization.run_page import PageOptions, try_to_write_run_page, write_run_page
from agssp_mm.visualization.run_page import page as page_module


def read(path):
    """The text of a page, and the data in it."""
    text = path.read_text(encoding='utf-8')
    return text, json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])


def missing(text):
    found = re.search(r'<details class="note missing".*?</details>', text, re.S)
    return found[0] if found else ''


def test_one_file_that_needs_no_other(work_dir):
    page = write_run_page(work_dir)
    text, data = read(page)
    assert page == work_dir / 'report.html'
    assert not re.search(r'(?:src|href)="(?!data:|#)', text)
    assert 'http' not in text.replace('http://www.w3.org/2000/svg', '')
    assert missing(text) == ''
    assert len(data['maps']['cards']) == 12 and len(data['maps']['steps']) == 13
    assert data['maps']['steps'][6]['line'] == "rule=dict(type='ComponentTreeBoxRule', threshold=0.3)"
    for title in ('Losses', 'Learning rate', 'Agreement with the maps', 'Agreement, held-out images',
                  'Validation'):
        assert title in text
    assert 'load_from backbone.pth: 2 of 3 tensors' in text
    assert text.count('Not there yet') == 3  # activation maps, detections, transfer


def test_orders(store, image_folder):
    _, data = read(write_run_page(store, options=PageOptions(images=image_folder, per_order=4)))
    maps, records = data['maps'], MapStore.open(store).index
    scores = {order: [maps['cards'][place]['score'] for place in places] for order, places in maps['orders'].items()}
    by_score = sorted(round(record.score, 4) for record in records)
    assert scores['highest'] == by_score[::-1][:4]
    assert scores['lowest'] == by_score[:4]
    counts = {order: [len(maps['cards'][place]['boxes'][maps['own']]) for place in places]
              for order, places in maps['orders'].items()}
    assert counts['most'] == sorted(counts['most'], reverse=True)
    assert counts['fewest'] == sorted(counts['fewest'])
    assert counts['most'][0] >= counts['fewest'][-1]


@pytest.mark.parametrize('place', ['', '/mill/'])
def test_true_boxes_are_shown_beside(store, image_folder, tmp_path, place):
    coco = dict(images=[dict(id=1, file_name=f'{place}00.png')], categories=[dict(id=1, name='<dent>')],
                annotations=[dict(image_id=1, category_id=1, bbox=[2, 3, 8, 8])])
    (tmp_path / 'truth.json').write_text(json.dumps(coco))
    text, data = read(write_run_page(store, tmp_path / 'p' / 'page.html',
                                     PageOptions(images=image_folder, annotations=tmp_path / 'truth.json')))
    truth = {card['name']: card['truth'] for card in data['maps']['cards']}
    assert truth.pop('00.png') == [[2.0, 3.0, 10.0, 11.0, '<dent>']]
    assert not any(truth.values())
    assert '<dent>' not in text  # escaped: names are data, not markup
    assert 'id="show-true"' in text


def test_a_store_without_images_shows_its_maps_alone(store):
    text, data = read(write_run_page(store))
    assert 'The maps are shown without their images' in missing(text)
    assert all(card['image'] is None and card['overlay'] for card in data['maps']['cards'])


def test_images_deleted_or_broken_since(work_dir, image_folder, store):
    (image_folder / '00.png').unlink()
    (image_folder / '01.png').write_bytes(b'no image')
    (store / '02.png.png').unlink()
    text, data = read(write_run_page(work_dir))
    assert '2 of the 11 images shown cannot be read any more' in missing(text)
    assert '1 maps of the sample are gone or damaged, e.g. 02.png' in missing(text)
    images = {card['name']: card['image'] for card in data['maps']['cards']}
    assert '02.png' not in images
    assert {name for name, image in images.items() if image is None} == {'00.png', '01.png'}


def test_no_store_no_maps_but_the_training(work_dir, store):
    (store / 'maps.json').unlink()
    text, data = read(write_run_page(work_dir))
    assert 'The maps cannot be shown: no map store at' in missing(text)
    assert data['maps'] is None
    assert 'the run has no finished anomaly maps' in text
    assert 'Losses' in text


def test_an_unfinished_or_damaged_store(work_dir, store):
    meta = json.loads((store / 'maps.json').read_text())
    (store / 'maps.json').write_text(json.dumps({**meta, 'complete': False}))
    assert 'is unfinished: its generation was interrupted' in missing(read(write_run_page(work_dir))[0])
    (store / 'maps.json').write_text('{"format"')
    assert 'is damaged' in missing(read(write_run_page(work_dir))[0])
    (store / 'maps.json').write_text(json.dumps(meta))
    (store / 'index.jsonl').write_text('["half')
    assert 'The maps cannot be shown' in missing(read(write_run_page(work_dir))[0])


def test_a_box_rule_of_another_package(work_dir, store):
    config = work_dir / '20260101_000000' / 'vis_data' / 'config.py'
    config.write_text(config.read_text().replace('ComponentTreeBoxRule', 'TheirBoxRule'))
    text, data = read(write_run_page(work_dir))
    assert 'The maps cannot be shown (KeyError: ' in missing(text) and 'TheirBoxRule' in missing(text)
    assert data['maps'] is None and 'Losses' in text
    meta = json.loads((store / 'maps.json').read_text())
    (store / 'maps.json').write_text(json.dumps({**meta, 'statistics': {}}))
    config.write_text(config.read_text().replace('TheirBoxRule', 'ComponentTreeBoxRule'))
    assert 'The maps cannot be shown (KeyError: images)' in missing(read(write_run_page(work_dir))[0])


def test_a_choice_among_the_boxes_is_told(work_dir):
    assert 'the best' not in missing(read(write_run_page(work_dir))[0])
    config = work_dir / '20260101_000000' / 'vis_data' / 'config.py'
    config.write_text(config.read_text().replace('rule=', 'per_image=0.6, rule='))
    assert 'stage 2 learns from the best 0.6 per image of the whole set' in missing(read(write_run_page(work_dir))[0])


def test_half_written_logs(work_dir):
    logs = work_dir / '20260101_000000'
    path = logs / 'vis_data' / 'scalars.json'
    path.write_text(path.read_text()[:-10])
    text, data = read(write_run_page(work_dir))
    assert '1 line cannot be read' in missing(text)
    assert 'Losses' in text and data['maps']
    path.unlink()
    text, _ = read(write_run_page(work_dir))
    assert 'has not logged a step yet' in missing(text)
    assert 'nothing was logged' in text


def test_results_in_the_folder_and_elsewhere(work_dir, tmp_path):
    line = dict(dataset='neu', detector='retinanet', split='dev', labels='train_10pct', seed=0, init='imagenet',
                recipe=None, epochs=20, metrics=dict(mAP=20.0, mAP50=50.5))
    (work_dir / 'results').mkdir()
    (work_dir / 'results' / 'a.jsonl').write_text(json.dumps(line))
    more = {**line, 'init': 'agssp', 'metrics': dict(mAP=22.0, mAP50=54.0)}
    (tmp_path / 'b.jsonl').write_text(json.dumps(more) + '\n' + json.dumps({**more, 'labels': 'train'}))
    text, _ = read(write_run_page(work_dir, options=PageOptions(results=[tmp_path / 'b.jsonl'])))
    assert re.search(r'<td>imagenet</td>.*<td class="n">50.5</td>', text)
    assert re.search(r'<td>agssp</td>.*<td class="n">54.0</td>.*\+3.5 \(one seed\)', text)
    assert 'Labels and mAP50: neu / retinanet / dev' in text
    with pytest.raises(FileNotFoundError, match='there is no file of results at .*gone.jsonl'):
        write_run_page(work_dir, options=PageOptions(results=[tmp_path / 'gone.jsonl']))


def test_names_that_are_not_utf_8_are_named(work_dir, store, image_folder):
    name = os.fsdecode(b'gr\xf6\xdfe.png')
    (image_folder / name).write_bytes(b'')
    shutil.rmtree(store)
    generate_maps(list_images(image_folder), TextureTeacher(), store)
    assert r'gr\udcf6\udcdfe.png' in write_run_page(work_dir).read_text()


def test_a_bad_setting_stops_it(work_dir, tmp_path):
    with pytest.raises(ValueError, match='num_sampled must be at least 1, got 0'):
        write_run_page(work_dir, options=PageOptions(num_sampled=0))
    with pytest.raises(ValueError, match='is a folder; give the name of the page'):
        write_run_page(work_dir, tmp_path)
    with pytest.raises(FileNotFoundError, match='no annotations at'):
        write_run_page(work_dir, options=PageOptions(annotations=tmp_path / 'gone.json'))
    assert not (work_dir / 'report.html').exists()


def test_a_page_that_fails_does_not_spoil_the_run(tmp_path, caplog):
    assert try_to_write_run_page(tmp_path) is None
    assert 'could not be written (ValueError: ' in caplog.text


def test_a_page_that_would_be_too_large_shows_fewer_images(work_dir, monkeypatch):
    whole = len(write_run_page(work_dir).read_bytes())
    monkeypatch.setattr(page_module, 'LIMIT', whole * 3 // 4)
    _, data = read(write_run_page(work_dir, options=PageOptions(per_order=12)))
    assert 1 <= len(data['maps']['cards']) < 12


def enlarge(store, number):
    """Let a store list many more images, whose maps are those of its first one."""
    first = json.loads((store / 'index.jsonl').read_text().splitlines()[0])
    source = store / f'{first[0]}.png'
    rows = []
    for place in range(number):
        (store / f'{place:06d}.png.png').symlink_to(source)
        rows.append([f'{place:06d}.png', *first[1:5], place / number, first[6]])
    (store / 'index.jsonl').write_text(''.join(json.dumps(row) + '\n' for row in rows))


@pytest.mark.parametrize('number', [1000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_many_images_are_sampled_and_the_page_says_so(store, tmp_path, number):
    enlarge(store, number)
    Image.new('L', (24, 32)).save(tmp_path / '000001.png')
    page = write_run_page(store, options=PageOptions(images=tmp_path, num_sampled=10, per_order=3, seed=3))
    text, data = read(page)
    assert f'a random sample of 10 of the\n    {number:,} images (seed 3)' in text
    assert page.stat().st_size < 20_000_000
    maps = data['maps']
    assert maps['sampled'] == 10 and sum(maps['steps'][0]['per_image']) == 10
    assert maps['cards'][maps['orders']['highest'][0]]['name'] == f'{number - 1:06d}.png'
    assert maps['cards'][maps['orders']['lowest'][0]]['name'] == '000000.png'
    again = read(write_run_page(store, options=PageOptions(images=tmp_path, num_sampled=10, per_order=3, seed=3)))[1]
    other = read(write_run_page(store, options=PageOptions(images=tmp_path, num_sampled=10, per_order=3, seed=4)))[1]
    assert again == data
    assert [card['name'] for card in other['maps']['cards']] != [card['name'] for card in maps['cards']]
