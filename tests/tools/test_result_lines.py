"""What the pages say of the transfer benchmark is what the committed result lines say."""
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def table():
    for folder in (ROOT / 'tools', ROOT / 'tools' / 'benchmarks'):
        sys.path.insert(0, str(folder))
    from transfer_parts.records import read_lines
    from transfer_parts.summary import format_summary
    return format_summary(read_lines(sorted((ROOT / 'docs' / 'results').glob('*.jsonl'))))


def row_of(table, *words):
    rows = [[cell.strip() for cell in row.strip('| ').split('|')] for row in table.splitlines()
            if all(f'| {word} |' in row for word in words)]
    assert len(rows) == 1, rows
    return rows[0]


def test_the_generated_page_is_that_of_the_lines(table):
    assert table in (ROOT / 'docs' / 'results' / 'transfer.md').read_text()


def test_readme_and_results_quote_the_row_of_the_recipe(table):
    pretrained = row_of(table, 'val', 'train_10pct', 'agdp (trained+nc)', '30')
    imagenet = row_of(table, 'val', 'train_10pct', 'imagenet', '30')
    map50, m_ap = (pretrained[i].split()[0] for i in (7, 8))
    base50, base = (imagenet[i].split()[0] for i in (7, 8))
    gain50, gain = pretrained[9:11]
    readme = (ROOT / 'README.md').read_text()
    assert f'| ImageNet | {base} | {base50} |' in readme
    assert re.search(rf'\| AGDP from ImageNet [^|]*\| {m_ap} \| {map50} \|', readme)
    assert f'| {gain} | {gain50} |' in readme
    results = ' '.join((ROOT / 'docs' / 'results.md').read_text().split())
    assert f"{map50} mAP50 and {m_ap} mAP against ImageNet's {base50} and {base}" in results
    assert f'{gain50} mAP50 and {gain} mAP' in results
