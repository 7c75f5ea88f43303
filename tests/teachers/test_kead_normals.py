"""Which normal images are used."""
import numpy as np
import pytest
from PIL import Image

from agssp_mm.teachers.kead_normals import choose_normals
from agssp_mm.teachers.prompts import ClassTexts


@pytest.fixture
def folder(tmp_path):
    for number in range(6):
        Image.fromarray(np.full((4, 4), 10 * number, dtype=np.uint8)).save(tmp_path / f'{number}.png')
    return tmp_path


def samples(folder, *numbers):
    return tuple(str(folder / f'{number}.png') for number in numbers)


def names(paths):
    return [path.name for path in paths]


def test_all_samples_of_the_texts_are_the_default(folder):
    classes = {'pipe': ClassTexts('pipe', samples=samples(folder, 3, 1)), 'rail': ClassTexts('rail')}
    chosen = choose_normals(classes, None, None, 0)
    assert names(chosen['pipe']) == ['3.png', '1.png'] and chosen['rail'] == ()


def test_given_images_replace_the_samples(folder):
    classes = {'pipe': ClassTexts('pipe', samples=('/nowhere.png',))}
    assert names(choose_normals(classes, samples(folder, 5), None, 0)['pipe']) == ['5.png']
    assert names(choose_normals(classes, folder, None, 0)['pipe']) == [f'{number}.png' for number in range(6)]
    assert names(choose_normals(classes, str(folder / '2.png'), None, 0)['pipe']) == ['2.png']
    assert names(choose_normals(classes, {'pipe': [folder / '4.png']}, None, 0)['pipe']) == ['4.png']


def test_the_seed_chooses_by_content_not_by_name(folder, tmp_path):
    classes = {'pipe': ClassTexts('pipe')}
    picks = {seed: names(choose_normals(classes, folder, 2, seed)['pipe']) for seed in range(20)}
    assert all(len(set(pick)) == 2 for pick in picks.values())
    assert len({tuple(sorted(pick)) for pick in picks.values()}) > 5
    renamed = folder / 'renamed'
    renamed.mkdir()
    for number in range(6):
        (folder / f'{number}.png').rename(renamed / f'{9 - number}.png')
    again = names(choose_normals(classes, renamed, 2, 7)['pipe'])
    assert [f'{9 - int(name[0])}.png' for name in again] == picks[7]


def test_none_asked_for_means_none(folder):
    classes = {'pipe': ClassTexts('pipe', samples=('/nowhere.png',))}
    assert choose_normals(classes, None, 0, 0) == {'pipe': ()}


def test_too_few_or_missing_images_are_refused(folder):
    classes = {'pipe': ClassTexts('pipe', samples=samples(folder, 0, 1)), 'rail': ClassTexts('rail')}
    with pytest.raises(ValueError, match="2 normal images of class 'pipe', but num_normals=4 asks for more"):
        choose_normals(classes, None, 4, 0)
    with pytest.raises(ValueError, match="0 normal images of class 'rail', but num_normals=1"):
        choose_normals(classes, {'rail': []}, 1, 0)
    assert choose_normals(classes, None, 2, 0)['rail'] == ()  # nothing was given for it: texts alone
    missing = {'pipe': ClassTexts('pipe', samples=(*samples(folder, 0), '/nowhere.png'))}
    with pytest.raises(FileNotFoundError, match="1 of 2 normal images of class 'pipe' do not exist.*nowhere.png"):
        choose_normals(missing, None, None, 0)


def test_settings_that_do_not_fit_are_refused(folder):
    classes = {'pipe': ClassTexts('pipe'), 'rail': ClassTexts('rail')}
    with pytest.raises(ValueError, match="classes .'pipe', 'rail'. are in use: give normals per class"):
        choose_normals(classes, folder, None, 0)
    with pytest.raises(ValueError, match="given for the classes .'tube'., but those in use are"):
        choose_normals(classes, {'tube': folder}, None, 0)
    for number in (-1, 2.0, '4'):
        with pytest.raises(ValueError, match='num_normals must be None .all. or a number from 0 on'):
            choose_normals(classes, None, number, 0)
