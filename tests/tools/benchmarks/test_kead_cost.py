"""The cost tool measures both clocks and the precision of bf16; its verdict follows the limit."""
import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
sys.path[:0] = [str(ROOT / 'tools' / 'benchmarks'), str(ROOT / 'tests' / 'teachers')]
import kead_cost  # noqa: E402
from kead_toys import one_thread, toy_config  # noqa: E402, F401


def test_it_prints_ratios_and_fails_above_the_limit(tmp_path, capsys, monkeypatch):
    (tmp_path / 'toy.json').write_text(json.dumps(toy_config(4)))
    arguments = ['--model', str(tmp_path / 'toy.json'), '--batch-size', '2', '--repeats', '3']
    monkeypatch.setattr(kead_cost, 'LIMIT', 1000.0)
    assert kead_cost.main(arguments) == 0
    out = capsys.readouterr().out
    for title in ('float32, zero-shot', 'float32, 4 normals', 'bf16 autocast, 4 normals'):
        assert f'\n{title}\n' in out
    assert out.count('times encode_image in float32') == 3
    assert 0 < float(out.split('largest difference of the bf16 maps: ')[1].split(',')[0]) < 0.2
    monkeypatch.setattr(kead_cost, 'LIMIT', 0.0)
    assert kead_cost.main(arguments) == 1


def test_cost_reads_both_clocks():
    import time
    asleep = kead_cost.cost(lambda: time.sleep(0.05))
    assert asleep.wall >= 0.05 > 0.03 > asleep.processor
