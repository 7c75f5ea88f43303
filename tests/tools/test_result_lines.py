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
    pretrained, imagenet, longer = (row_of(table, 'val', 'train_10pct', *words) for words in (
        ('agdp (trained+nc)', '30'), ('imagenet', '30'), ('imagenet', '60')))
    (map50, m_ap), (base50, base), (longer50, longest) = (
        (row[7].split()[0], row[8].split()[0]) for row in (pretrained, imagenet, longer))
    against_longer50, against_longer = pretrained[9:11]
    gain50, gain = pretrained[12:14]
    readme = (ROOT / 'README.md').read_text()
    assert f'| ImageNet | {base} | {base50} |' in readme
    assert f'| ImageNet, twice the epochs, {longer[6]} seeds | {longest} | {longer50} |' in readme
    assert re.search(rf'\| AGDP from ImageNet [^|]*\| {m_ap} \| {map50} \|', readme)
    assert f'| difference, 95 % interval | {gain} | {gain50} |' in readme
    assert f'| difference to twice the epochs | {against_longer} | {against_longer50} |' in readme
    results = ' '.join((ROOT / 'docs' / 'results.md').read_text().split())
    assert f"{map50} mAP50 and {m_ap} mAP against ImageNet's {base50} and {base}" in results
    assert f'{gain50} mAP50 and {gain} mAP' in results
    assert (f'{longer50} and {longest} over {longer[6]} seeds: {against_longer50} mAP50 and {against_longer} mAP'
            in results)
