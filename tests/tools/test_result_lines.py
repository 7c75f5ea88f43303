"""What the pages say of the transfer benchmark is what the committed result lines say."""
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def summary_of(folder):
    for path in (ROOT / 'tools', ROOT / 'tools' / 'benchmarks'):
        sys.path.insert(0, str(path))
    from transfer_parts.records import read_lines
    from transfer_parts.summary import format_summary
    return format_summary(read_lines(sorted(folder.glob('*.jsonl'))))


@pytest.fixture(scope='module')
def table():
    return summary_of(ROOT / 'docs' / 'results')


@pytest.fixture(scope='module')
def table_without_crops():
    return summary_of(ROOT / 'docs' / 'results' / 'no_crops')


def row_of(table, *words):
    rows = [[cell.strip() for cell in row.strip('| ').split('|')] for row in table.splitlines()
            if all(f'| {word} |' in row for word in words)]
    assert len(rows) == 1, rows
    return rows[0]


def test_the_generated_page_is_that_of_the_lines(table, table_without_crops):
    assert table in (ROOT / 'docs' / 'results' / 'transfer.md').read_text()
    assert table_without_crops in (ROOT / 'docs' / 'results' / 'no_crops' / 'transfer.md').read_text()


def gain_row(table, dataset, labels, start, epochs):
    """A row of the pages: ImageNet, pretrained and difference, of mAP50 and of mAP."""
    size = 'retinanet_efficientnet-lite0, 192 px, mixed precision'
    pretrained, imagenet = (row_of(table, dataset, size, 'val', labels, one, epochs) for one in (start, 'imagenet'))
    (map50, m_ap), (base50, base) = ((row[7].split()[0], row[8].split()[0]) for row in (pretrained, imagenet))
    gain50, gain = pretrained[12:14]
    assert pretrained[6] == imagenet[6] == '5'
    return f'| {epochs} | {base50} | {map50} | {gain50} | {base} | {m_ap} | {gain} |'


def test_readme_and_results_quote_the_rows_of_the_recipe(table, table_without_crops):
    both, alone, now, before = '| AGBP, AGDP ', '| AGDP ', '| crops ', '| no crops '
    rows = [f'| NEU-DET, {images} {stages}{now}{gain_row(table, "neu_det", labels, start, "60")}'
            for images, labels, stages, start in (
                (126, 'train_10pct', '| AGBP, AGDP, long ', 'agssp (trained+nc+paste+long)'),
                (60, 'train_5pct', '| AGBP, AGDP, long ', 'agssp (trained+nc+paste+long)'),
                (126, 'train_10pct', both, 'agssp (trained+nc+paste)'),
                (60, 'train_5pct', both, 'agssp (trained+nc+paste)'),
                (126, 'train_10pct', alone, 'agdp (trained+nc+paste)'))]
    rows += [f'| {name} {alone}{before}{gain_row(table_without_crops, data, labels, f"agdp ({recipe})", epochs)}'
             for name, data, labels, recipe, epochs in (
                 ('NEU-DET, 126', 'neu_det', 'train_10pct', 'trained+nc', '60'),
                 ('NEU-DET, 126', 'neu_det', 'train_10pct', 'trained+nc', '30'),
                 ('NEU-DET, 60', 'neu_det', 'train_5pct', 'trained+nc', '30'),
                 ('magnetic tiles, 113', 'magnetic_tile', 'train_25pct', 'trained', '30'))]
    assert '\n'.join(rows) in (ROOT / 'docs' / 'results.md').read_text()
    readme = (ROOT / 'README.md').read_text()
    assert all((row in readme) == ('AGBP' in row) for row in rows)
    assert before not in readme  # of an older fine-tuning


@pytest.mark.parametrize('name, detector, labels, epochs, seeds', [
    ('NEU-DET, 126, ATSS', 'atss_efficientnet-lite0', 'train_10pct', '60', '3'),
    ('NEU-DET, 312', 'retinanet_efficientnet-lite0', 'train_25pct', '30', '5')])
def test_results_quote_the_rows_of_other_detectors_and_more_labels(table, name, detector, labels, epochs, seeds):
    row, base = (row_of(table, 'neu_det', f'{detector}, 192 px, mixed precision', 'val', labels, start, epochs)
                 for start in ('agssp (trained+nc+paste)', 'imagenet'))
    (map50, m_ap), (base50, base_map) = ((one[7].split()[0], one[8].split()[0]) for one in (row, base))
    assert row[6] == base[6] == seeds
    cells = name, 'AGBP, AGDP', 'crops', epochs, base50, map50, row[12], base_map, m_ap, row[13]
    assert f'| {" | ".join(cells)} |' in (ROOT / 'docs' / 'results.md').read_text()


def test_results_and_readme_quote_the_labels_saved(table):
    size = 'retinanet_efficientnet-lite0, 192 px, mixed precision'
    few, some = (row_of(table, 'neu_det', size, 'val', labels, 'agssp (trained+nc+paste)', '60')[11].split(' / ')[1]
                 for labels in ('train_5pct', 'train_10pct'))
    results, readme = (' '.join((ROOT / name).read_text().split()) for name in ('docs/results.md', 'README.md'))
    assert f'what ImageNet reaches with about {few}, with 126 what it reaches with about {some},' in results
    assert f'what ImageNet reaches with about {few};' in readme
    long = row_of(table, 'neu_det', size, 'val', 'train_10pct', 'agssp (trained+nc+paste+long)', '60')
    assert f'reaches with 126 labelled images what ImageNet reaches with about {long[11].split(" / ")[1]};' in readme
    assert f'for 120 epochs {long[9]} mAP50 and {long[10]} mAP are left' in readme
    assert f'120 epochs (three seeds) {long[9]} and {long[10]} are left' in results


def test_results_and_readme_quote_the_tiles(table):
    size, starts = 'retinanet_efficientnet-lite0, 192 px', ('agssp (trained+half+paste)', 'imagenet')
    row, base = (row_of(table, 'magnetic_tile', size, 'val', 'train_25pct', start, '60') for start in starts)
    whole, whole_base = (row_of(table, 'magnetic_tile', f'{size}, mixed precision', 'val', 'train', start, '20')
                         for start in starts)
    (map50, m_ap), (base50, base_map) = ((one[7].split()[0], one[8].split()[0]) for one in (row, base))
    results, readme = (' '.join((ROOT / name).read_text().split()) for name in ('docs/results.md', 'README.md'))
    assert {one[6] for one in (row, base, whole, whole_base)} == {'5'}
    assert f'{base50} mAP50 from ImageNet and {map50} pretrained, {row[9]}, and {base_map} and {m_ap} mAP, {row[10]}.' \
        in results
    assert f'pay at this size: {row[9]} mAP50 and {row[10]} mAP with 113 labelled, {whole[9]} and {whole[10]} with' \
        in readme
    (map50, m_ap), (base50, base_map) = ((one[7].split()[0], one[8].split()[0]) for one in (whole, whole_base))
    assert f'{base50} and {base_map} from ImageNet, {map50} and {m_ap} pretrained, {whole[9]} and {whole[10]}.' \
        in results


@pytest.mark.parametrize('pixels, labels, recipe, epochs, in_results, in_readme', [
    (192, 'train', 'trained+half+paste+long', '20', '.', 'it gains {} mAP50 and {} mAP with all of them labelled:'),
    (352, 'train_25pct', 'trained+half+paste', '40', ':', '113 labelled gain {} and {}:')])
def test_results_and_readme_quote_the_tiles_without_a_loss(table, pixels, labels, recipe, epochs, in_results,
                                                           in_readme):
    size = f'retinanet_efficientnet-lite0, {pixels} px, mixed precision'
    row, base = (row_of(table, 'magnetic_tile', size, 'val', labels, start, epochs)
                 for start in (f'agssp ({recipe})', 'imagenet'))
    (map50, m_ap), (base50, base_map) = ((one[7].split()[0], one[8].split()[0]) for one in (row, base))
    results, readme = (' '.join((ROOT / name).read_text().split()) for name in ('docs/results.md', 'README.md'))
    assert {one[6] for one in (row, base)} == {'5'}
    assert f'{base50} and {base_map} from ImageNet, {map50} and {m_ap} pretrained, {row[9]} and {row[10]}{in_results}' \
        in results
    assert in_readme.format(row[9], row[10]) in readme


def test_results_count_the_gain_against_the_better_imagenet_row(table_without_crops):
    size = 'retinanet_efficientnet-lite0, 192 px, mixed precision'
    row = row_of(table_without_crops, 'neu_det', size, 'val', 'train_10pct', 'agdp (trained+nc)', '30')
    results = ' '.join((ROOT / 'docs' / 'results.md').read_text().split())
    assert f'{row[9]} mAP50 and {row[10]} mAP are left of the gain after 30 epochs' in results
