import os
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from agssp_mm.engine.resume import check_start, find_checkpoint, resume


@pytest.fixture
def write(tmp_path):
    """Writes checkpoints that get newer one by one."""
    ages = iter(range(1, 100))

    def write(name, cut=0):
        path = tmp_path / name
        torch.save(dict(state_dict=dict(weight=torch.ones(8))), path)
        path.write_bytes(path.read_bytes()[:path.stat().st_size - cut])
        os.utime(path, (next(ages), ) * 2)
        return path

    return write


def test_no_checkpoint(tmp_path):
    assert find_checkpoint(tmp_path) is None
    assert find_checkpoint(tmp_path / 'not made yet') is None


def test_the_newest_counts_not_the_highest_number(tmp_path, write):
    write('epoch_12.pth')
    newest = write('iter_9.pth')
    assert find_checkpoint(tmp_path) == newest


def test_half_a_checkpoint_is_passed_over(tmp_path, write):
    whole = write('epoch_1.pth')
    half = write('epoch_2.pth', cut=10)
    (tmp_path / 'last_checkpoint').write_text(str(half))
    assert find_checkpoint(tmp_path) == whole


@pytest.mark.parametrize('pointer', ['', 'epoch_7.pth'])
def test_a_pointer_to_nothing_is_passed_over(tmp_path, write, pointer):
    whole = write('epoch_1.pth')
    (tmp_path / 'last_checkpoint').write_text(pointer and str(tmp_path / pointer))
    assert find_checkpoint(tmp_path) == whole


def test_a_pointer_to_another_folder_is_followed(tmp_path, write):
    (tmp_path / 'elsewhere').mkdir()
    elsewhere = write('elsewhere/epoch_1.pth')
    (tmp_path / 'last_checkpoint').write_text(str(elsewhere))
    assert find_checkpoint(tmp_path) == elsewhere


def test_resume_sets_what_the_runner_reads(tmp_path, write):
    newest = write('epoch_1.pth')
    cfg = Config(dict(work_dir=str(tmp_path), load_from='before.pth', resume=False))
    resume(cfg, 'auto')
    assert (cfg.load_from, cfg.resume) == (str(newest), True)

    other = write('other.pth')
    resume(cfg, str(other))
    assert (cfg.load_from, cfg.resume) == (str(other), True)
    with pytest.raises(FileNotFoundError, match='--resume: gone.pth is no file'):
        resume(cfg, 'gone.pth')


def test_with_nothing_to_resume_load_from_stays(tmp_path):
    cfg = Config(dict(work_dir=str(tmp_path), load_from='before.pth', resume=True))
    resume(cfg, 'auto')
    assert (cfg.load_from, cfg.resume) == ('before.pth', False)


def test_check_start_unpickles_only_what_is_trusted(tmp_path, write):
    check_start(Config(dict(load_from=str(write('plain.pth')))))
    check_start(Config(dict(load_from=None)))
    torch.save(dict(state_dict=dict(), meta=Path('object')), tmp_path / 'object.pth')
    cfg = Config(dict(load_from=str(tmp_path / 'object.pth'), custom_hooks=[
        dict(type='EMAHook'), dict(type='LoadReportHook', min_matched=0.9)]))
    with pytest.raises(ValueError, match='--trust-checkpoint'):
        check_start(cfg)
    check_start(cfg, trust=True)
    assert cfg.custom_hooks == [dict(type='EMAHook'), dict(type='LoadReportHook', min_matched=0.9,
                                                           trust_checkpoint=True)]
    with pytest.raises(FileNotFoundError, match='gone.pth does not exist'):
        check_start(Config(dict(load_from='gone.pth')))


def test_every_run_gets_a_load_report_with_what_was_asked_for(write):
    cfg = Config(dict(load_from=str(write('plain.pth')), custom_hooks=[dict(type='EMAHook')]))
    check_start(cfg)
    assert cfg.custom_hooks == [dict(type='EMAHook'), dict(type='LoadReportHook')]
    check_start(cfg, strict=True)
    assert cfg.custom_hooks[1:] == [dict(type='LoadReportHook', strict=True)]
    cfg = Config(dict(custom_hooks=[dict(type='mmengine.LoadReportHook')]))
    check_start(cfg, allow_partial=True)
    assert cfg.custom_hooks == [dict(type='mmengine.LoadReportHook', allow_partial=True)]
    with pytest.raises(ValueError, match='--strict .* --allow-partial'):
        check_start(cfg, strict=True, allow_partial=True)
