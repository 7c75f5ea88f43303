import sys
from pathlib import Path

import pytest
from mmengine.config import Config


CONFIG = Path(__file__).parents[2] / 'configs' / 'agssp' / 'yolov8_cspdarknet_cls' / 'yolov8_cspdarknet_cls_agdp.py'


@pytest.fixture(autouse=True)
def not_imported(monkeypatch):
    for name in ('mmyolo', 'mmyolo.models', 'agssp_mm.models.mmyolo_types'):
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_a_config_of_yolov8_says_that_mmyolo_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmyolo', None)  # as if it were not installed
    with pytest.raises(ValueError, match=r'needs MMYOLO, which is not installed .*mmcv < 2.1 only.*yolox_\*'):
        Config.fromfile(str(CONFIG))


def test_what_mmyolo_refuses_is_passed_on_with_a_way_out(monkeypatch, tmp_path):
    (tmp_path / 'mmyolo').mkdir()
    (tmp_path / 'mmyolo' / '__init__.py').write_text("assert False, 'MMCV==2.3.6 is used but incompatible.'")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ValueError, match=r'refuses .*\(MMCV==2.3.6 is used but incompatible.\): .*mmcv 2.0'):
        Config.fromfile(str(CONFIG))


def test_what_mmyolo_itself_lacks_is_named(monkeypatch, tmp_path):
    (tmp_path / 'mmyolo').mkdir()
    (tmp_path / 'mmyolo' / '__init__.py').write_text('import nowhere_to_be_found')
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ValueError, match='MMYOLO needs nowhere_to_be_found'):
        Config.fromfile(str(CONFIG))
