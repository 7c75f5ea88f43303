"""The parity tool accepts what the slow reference made, by every V-V path, and notices what differs."""
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[3]
sys.path[:0] = [str(ROOT / 'tools' / 'benchmarks'), str(ROOT / 'tests' / 'teachers')]
import kead_parity  # noqa: E402
from kead_toys import one_thread, write_golden  # noqa: E402, F401


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('golden')
    write_golden(folder, 'vv_res', aliased=True)
    return folder


def rewrite(source, target, **changed):
    target.mkdir()
    for path in source.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    golden = dict(np.load(source / 'golden.npz')) | changed
    np.savez(target / 'golden.npz', **{name: array for name, array in golden.items() if array is not None})
    return str(target)


@pytest.mark.parametrize('surgery, aliased, size', [('vv_res', False, 32), ('vv', False, 40)])
def test_the_vv_path_is_found_from_the_arrays(tmp_path, capsys, surgery, aliased, size):
    write_golden(tmp_path, surgery, aliased, image_size=size, class_ids=(2, 1))
    assert kead_parity.main([str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert f"taken: surgery={surgery!r}, levels='distinct', feature_layers=(3, 6, 9, 12), dpam_layer=10" in out
    assert out.count(' ok') == 11 and 'within the tolerance' in out


def test_the_published_levels_are_found_too(folder, capsys):
    assert kead_parity.main([str(folder)]) == 0
    assert "taken: surgery='vv_res', levels='aliased'" in capsys.readouterr().out


@pytest.mark.parametrize('name', ['few_shot_score', 'anomaly_map', 'text_empty'])
def test_an_array_that_is_off_fails_by_name(folder, tmp_path, capsys, name):
    array = np.load(folder / 'golden.npz')[name].copy()
    array.flat[0] += 1e-3
    assert kead_parity.main([rewrite(folder, tmp_path / 'off', **{name: array})]) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if 'TOO FAR' in line]
    assert len(lines) == 1 and lines[0].startswith(f'{name} ')
    assert float(lines[0].split()[1]) == pytest.approx(1e-3, rel=0.02)


def test_wrong_shapes_and_nan_are_too_far():
    assert kead_parity.largest_difference(np.zeros(3), np.zeros(4)) == np.inf
    assert kead_parity.largest_difference(np.zeros(3), np.array([0, np.nan, 0])) == np.inf
    assert kead_parity.largest_difference(np.zeros(3), np.array([0, -0.5, 0.25])) == 0.5


def test_classes_without_normals_may_have_no_few_shot_values(folder, tmp_path, capsys):
    golden = np.load(folder / 'golden.npz')
    changed = {name: golden[name].copy() for name in ('few_shot_map', 'anomaly_map', 'few_shot_score')}
    for array in changed.values():
        array[2] = np.nan  # the third image is of the class without normals
    target = rewrite(folder, tmp_path / 'nan', level_tokens=None, **changed)
    assert kead_parity.main([target]) == 0
    out = capsys.readouterr().out
    assert out.count('(1 images without normals left out)') == 3
    assert 'no level_tokens to tell the V-V path by; taking vv_res, aliased' in out
    assert 'level_tokens       not in golden.npz' in out


def test_a_folder_that_cannot_be_used_says_why(folder, tmp_path, capsys):
    assert kead_parity.main([str(tmp_path)]) == 2
    assert "lacks ['model.json', 'texts.json', 'golden.npz']" in capsys.readouterr().err
    assert kead_parity.main([rewrite(folder, tmp_path / 'bare', images=None)]) == 2
    assert 'must hold images and class_id' in capsys.readouterr().err
    (tmp_path / 'bare' / 'weights.pt').unlink()
    (tmp_path / 'bare' / 'golden.npz').write_bytes((folder / 'golden.npz').read_bytes())
    assert kead_parity.main([str(tmp_path / 'bare')]) == 2
    assert 'lacks weights.pt or weights.safetensors' in capsys.readouterr().err
