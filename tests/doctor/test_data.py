from agssp_mm.doctor.data import DATA_SETS, check_data
from agssp_mm.doctor.finding import NOTE, OK, PROBLEM


def test_no_root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    finding, = check_data({})
    assert finding.status == NOTE
    finding, = check_data({'AGSSP_DATA_ROOT': 'nowhere'})
    assert (finding.status, finding.text) == (PROBLEM, 'AGSSP_DATA_ROOT=nowhere is no folder')


def test_data_sets_are_found_and_gaps_are_named(tmp_path):
    for part in DATA_SETS['neu_det']:
        path = tmp_path / 'neu_det' / part
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if part.startswith('images') else path.touch()
    (tmp_path / 'neu_det' / 'images' / 'train' / '0.jpg').touch()
    root, found = check_data({'AGSSP_DATA_ROOT': str(tmp_path)})
    assert root.text == f'{tmp_path}; not there: magnetic_tile, casting_billet, steel_pipe, gc10, industrial'
    assert (found.status, found.text) == (OK, '1 files in images/train, 0 files in images/val')
    (tmp_path / 'neu_det' / 'annotations' / 'val.json').unlink()
    _, found = check_data({'AGSSP_DATA_ROOT': str(tmp_path)})
    assert (found.status, found.text) == (PROBLEM, f'{tmp_path / "neu_det"} lacks annotations/val.json')


def test_sets_of_the_paper_are_told_by_their_annotations(tmp_path):
    for part in DATA_SETS['gc10']:
        (tmp_path / 'gc10' / part).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / 'gc10' / part).touch()
    (tmp_path / 'industrial' / 'images' / 'plant').mkdir(parents=True)
    _, gc10, industrial = check_data({'AGSSP_DATA_ROOT': str(tmp_path)})
    assert (gc10.status, gc10.text) == (OK, 'annotations/train.json, annotations/val.json')
    assert (industrial.status, industrial.text) == (OK, '1 files in images')
