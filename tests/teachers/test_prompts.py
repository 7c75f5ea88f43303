"""Prompts, description files and the shipped knowledge."""
import json
import sys
from pathlib import Path

import pytest

from agssp_mm.teachers.prompts import KNOWLEDGE, TEMPLATES, ClassTexts, build_prompts, check_slot, load_texts

sys.path.insert(0, str(Path(__file__).parent))
from kead_toys import TEMPLATES as PUBLISHED  # noqa: E402

ENTRY = {'map': 'pipe', 'des': {'good': ['{} that shines'], 'defect': ['{} with a dent']}, 'samples': ['a.png']}


def changed(**entry):
    return {'pipe': {**ENTRY, **entry}}


def test_templates_are_the_published_ones():
    assert sorted(TEMPLATES) == sorted(PUBLISHED)
    assert len(TEMPLATES) == 21 and len(set(TEMPLATES)) == 20 and all(text.endswith('.') for text in TEMPLATES)
    assert TEMPLATES.count('a jpeg corrupted photo of the {}.') == 2


def test_prompts_are_every_state_in_every_template():
    billet = ClassTexts('metal surface', good=('{} so',) * 8, defect=('{} with crack',) * 6)
    sets = build_prompts(billet)
    assert (len(sets.normal), len(sets.anomalous), len(sets.empty)) == (252, 210, 21)
    assert sets.normal[0] == 'a cropped photo of the metal surface.'
    assert sets.anomalous[0] == 'a cropped photo of the damaged metal surface.'
    assert sets.anomalous[-1] == 'a photo of a metal surface with crack for anomaly detection.'
    assert sets.empty[-1] == 'a photo of a  for anomaly detection.'


def test_a_file_is_read_with_paths_relative_to_it(tmp_path):
    (tmp_path / 'texts.json').write_text(json.dumps(changed(samples=['a.png', '/b.png'])))
    texts = load_texts(tmp_path / 'texts.json')
    assert texts == {'pipe': ClassTexts('pipe', ('{} that shines',), ('{} with a dent',),
                                        (str(tmp_path / 'a.png'), '/b.png'))}
    assert load_texts({'pipe': texts['pipe'].to_dict()}) == texts


def test_samples_may_be_left_out():
    entry = {key: value for key, value in ENTRY.items() if key != 'samples'}
    assert load_texts({'pipe': entry})['pipe'].samples == ()


@pytest.mark.parametrize('content, message', [
    ([], 'must be an object with one entry per class, got list'),
    ({}, 'got dict without entries'),
    ({'pipe': []}, "class 'pipe' must be an object, got list"),
    ({'pipe': {'des': ENTRY['des']}}, "class 'pipe': key \"map\" is missing; there are .'des'"),
    (changed(map=3), "class 'pipe': \"map\" must be a string, got int 3"),
    (changed(map=' '), '"map" must be a noun phrase'),
    (changed(des=['x']), '"des" must be an object, got list'),
    (changed(des={'good': []}), "class 'pipe', key \"des\": key \"defect\" is missing"),
    (changed(des={'good': '{} x', 'defect': []}), '"good" must be a list, got str'),
    (changed(des={'good': [], 'defect': ['no slot']}), r'"des.defect"\[0\] must hold exactly one {} slot.*no slot'),
    (changed(des={'good': ['{}', '{} {}'], 'defect': []}), r'"des.good"\[1\] must hold exactly one {} slot'),
    (changed(des={'good': ['{name}'], 'defect': []}), 'exactly one {} slot'),
    (changed(des={'good': ['{'], 'defect': []}), r'"des.good"\[0\] is not a valid text'),
    (changed(des={'good': [5], 'defect': []}), r'"des.good"\[0\] must be a string, got int 5'),
    (changed(samples='a.png'), '"samples" must be a list, got str'),
    (changed(samples=[1]), r'"samples"\[0\] must be a path, got int'),
])
def test_bad_texts_name_class_and_key(tmp_path, content, message):
    (tmp_path / 'texts.json').write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message) as caught:
        load_texts(tmp_path / 'texts.json')
    assert 'texts.json' in str(caught.value)


def test_files_that_are_none_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist; .*'steel_pipe'"):
        load_texts(tmp_path / 'none.json')
    (tmp_path / 'broken.json').write_text('{')
    with pytest.raises(ValueError, match='broken.json is not valid JSON'):
        load_texts(tmp_path / 'broken.json')


def test_check_slot_returns_what_is_right():
    assert check_slot('{} with {{braces}}', 'text') == '{} with {{braces}}'


def test_shipped_knowledge_is_whole():
    texts = load_texts()
    assert set(texts) == {path.stem for path in KNOWLEDGE.glob('*.json')} == {
        'aluminium', 'casting_billet', 'cold_rolled_strip', 'generic_metal', 'hot_rolled_steel', 'magnetic_tile',
        'rail', 'steel_pipe'}
    for name, known in texts.items():
        assert len(known.good) >= 5 and len(known.defect) >= 7 and not known.samples, name
        assert len(set(known.good + known.defect)) == len(known.good + known.defect), name


def test_shipped_knowledge_fits_into_the_text_tower():
    from open_clip import SimpleTokenizer
    tokenizer = SimpleTokenizer(context_length=77)
    longest = max(TEMPLATES, key=lambda text: len(tokenizer.encode(text.format(''))))
    for known in load_texts().values():
        prompts = build_prompts(known, [longest])
        assert max(len(tokenizer.encode(text)) + 2 for text in prompts.normal + prompts.anomalous) <= 77
