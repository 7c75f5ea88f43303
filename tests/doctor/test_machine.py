from collections import namedtuple

import pytest

from agssp_mm.doctor import machine
from agssp_mm.doctor.finding import NOTE, OK, PROBLEM

Usage = namedtuple('Usage', 'total used free')


@pytest.mark.parametrize('free, status', [(0.5e9, PROBLEM), (5e9, NOTE), (50e9, OK)])
def test_disk(free, status, monkeypatch, tmp_path):
    monkeypatch.setattr(machine.shutil, 'disk_usage', lambda folder: Usage(0, 0, free))
    finding = machine.check_disk(tmp_path / 'not' / 'there')
    assert finding.status == status
    assert finding.text == f'{free / 1e9:.1f} GB free in {tmp_path}'


@pytest.mark.parametrize('limit, status, text', [
    ('max', OK, '16.4 GB available'), ('3000000000', NOTE, '2.0 GB available'),
    ('1500000000', PROBLEM, '0.5 GB available'),
])
def test_the_limit_of_a_container_counts(limit, status, text, tmp_path):
    (tmp_path / 'meminfo').write_text('MemTotal: 32000000 kB\nMemAvailable: 16000000 kB\n')
    (tmp_path / 'memory.max').write_text(limit)
    (tmp_path / 'memory.current').write_text('1000000000')
    finding = machine.check_memory(tmp_path / 'meminfo', tmp_path)
    assert (finding.status, finding.text) == (status, text)


@pytest.mark.parametrize('limit, use, line', [
    ('memory.max', 'memory.current', 'inactive_file 14000000000'),
    ('memory/memory.limit_in_bytes', 'memory/memory.usage_in_bytes', 'total_inactive_file 14000000000'),
])
def test_files_that_were_read_do_not_count_as_used(limit, use, line, tmp_path):
    (tmp_path / 'memory').mkdir()
    (tmp_path / 'meminfo').write_text('MemAvailable: 16000000 kB\n')
    (tmp_path / limit).write_text('16000000000')
    (tmp_path / use).write_text('15800000000')
    (tmp_path / limit).with_name('memory.stat').write_text(f'anon 5\n{line}\nlow_kills\n')
    assert machine.check_memory(tmp_path / 'meminfo', tmp_path).text == '14.2 GB available'


def test_the_shared_memory_of_a_fresh_container_is_too_small(monkeypatch, tmp_path):
    monkeypatch.setattr(machine.shutil, 'disk_usage', lambda folder: Usage(0, 0, 0.06e9))
    finding = machine.check_shared_memory(tmp_path)
    assert finding.status == PROBLEM
    assert '--shm-size' in finding.mend
    assert machine.check_shared_memory(tmp_path / 'none') is None
