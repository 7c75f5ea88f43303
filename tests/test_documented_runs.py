"""Every code block of README, CONTRIBUTING and docs is run, page by page, or says why not.

Commands run as they stand on the page, in a copy of the checkout, on made data; `documented_workspace.py` tells what
shortens them. A block in Python that imports is a program and is run; any other is a piece of a config, which is laid
over the config of a run and trained with.
"""
import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / 'tests'))
from documented_blocks import page_names, read_blocks  # noqa: E402
from documented_workspace import BEFORE, NEEDS, make_workspace, run_in_workspace  # noqa: E402

PAGES = [page for page in page_names() if read_blocks(page)]
#: Targets of make that a page names -> who runs them, and how: here only their recipe is expanded. Of the pictures,
#: which are drawn of a finished demo, only the options are parsed.
MAKE = {
    'setup': ('.ci/run', 'make --no-print-directory setup'), 'test': ('.ci/run', 'make --no-print-directory test'),
    'test-all': ('.ci/run', 'pytest -m slow'), 'demo': ('.ci/run', 'make --no-print-directory demo-smoke'),
    'lint': ('tests/test_style.py', "'ruff', 'check'"), 'types': ('tests/test_style.py', "'mypy'"),
    'docs': ('tests/test_docs.py', "'mkdocs', 'build', '--strict'")}
#: The config that a piece is laid over, by page, and what `...` in a pipeline stands for.
BASES = {'docs/images.md': 'work_dirs/mill/agbp.py', 'README.md': 'work_dirs/mill/agbp.py'}
REST = "dict(type='Resize', scale=(64, 64), keep_ratio=False), dict(type='PackDetInputs', meta_keys=('img_path',))"


def test_every_block_is_run_or_says_why_not():
    blocks = [block for page in PAGES for block in read_blocks(page)]
    assert {block.language for block in blocks} <= {'bash', 'python'}, 'another language is neither run nor excused'
    excused = [block for block in blocks if block.reason is not None]
    assert len(excused) < len(blocks) / 4
    for block in excused:
        print(f'not run: {block.page}:{block.line}: {block.reason}')
        assert len(block.reason) > 15, f'{block.page}:{block.line} does not say what is lacking'
    markers = [line for page in page_names() for line in (ROOT / page).read_text().splitlines()
               if line.startswith('<!-- not run')]
    assert len(markers) == len(excused), 'a marker stands before no block, or names no reason'


def test_every_make_target_of_a_page_is_run_by_somebody():
    said = {target for page in PAGES for block in read_blocks(page) if block.language == 'bash'
            for target in re.findall(r'^make ([\w-]+)', block.text, re.MULTILINE)}
    assert said <= set(MAKE), 'say in MAKE who runs it'
    for target, (file, call) in MAKE.items():
        assert call in (ROOT / file).read_text(), f'{file} does not run make {target} any more'
    assert 'draw_concepts.py' in (ROOT / 'tests' / 'tools' / 'test_demo.py').read_text()


@pytest.fixture(scope='module')
def workspace(tmp_path_factory):
    """Runs a page once; the pages it goes on with before it."""
    folder, outcomes = tmp_path_factory.mktemp('pages'), {}
    make_workspace(folder)

    def run(page: str):
        for needed in NEEDS.get(page, []):
            assert run(needed).returncode == 0, f'{needed}, which {page} goes on with, fails'
        if page not in outcomes:
            outcomes[page] = run_in_workspace(folder, as_script(folder, page))
        return outcomes[page]

    run.folder = folder
    return run


def as_script(folder: Path, page: str) -> str:
    lines = ['ln -sfn made/images IMAGES', BEFORE.get(page, '')]
    blocks = [(number, block) for number, block in enumerate(read_blocks(page)) if block.reason is None]
    # pieces of configs come last: they go on with what the commands of the page made
    for number, block in sorted(blocks, key=lambda pair: pair[1].language == 'python'):
        lines.append(f'echo "--- {page}:{block.line}"')
        lines.append(block.text if block.language == 'bash' else
                     run_python(folder, page, f'{Path(page).stem}_{number}', block.text))
    return '\n'.join(lines)


def run_python(folder: Path, page: str, name: str, text: str) -> str:
    """Write a program, or a config of a run with the piece laid over it; returns the command that runs or trains it."""
    if any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.parse(text).body):
        (folder / f'{name}.py').write_text(text)
        return f'python {name}.py'
    return train_with(folder, page, name, text)


def train_with(folder: Path, page: str, name: str, piece: str) -> str:
    base = folder / BASES.get(page, 'work_dirs/mine/agbp.py')
    used = '\ntrain_dataloader = dict(dataset=dict(pipeline=train_pipeline))\n' if 'train_pipeline' in piece else ''
    (folder / f'{name}.py').write_text(f'_base_ = {str(base)!r}\n{piece.replace("...", REST)}{used}')
    return f'python tools/train.py {name}.py --work-dir work_dirs/{name}'


@pytest.mark.slow
@pytest.mark.parametrize('page', PAGES)
def test_the_blocks_of_a_page_run(workspace, page):
    done = workspace(page)
    assert done.returncode == 0, f'{done.stdout[-3000:]}\n{done.stderr[-4000:]}'


@pytest.mark.slow
def test_the_runs_left_what_the_pages_promise(workspace):
    for page in ('docs/get-started.md', 'docs/run_page.md', 'docs/results.md'):
        assert workspace(page).returncode == 0
    promised = ['work_dirs/first/backbone.pth', 'work_dirs/first/detector.pth', 'work_dirs/first/finetune.py',
                'work_dirs/first/report.html', 'maps.html', 'work_dirs/retinanet_efficientnet-lite0_agbp/backbone.pth']
    assert [name for name in promised if not (workspace.folder / name).is_file()] == []
    assert list(workspace.folder.glob('work_dirs/run_page_1/*/vis_data/events.out.tfevents*'))
    assert list(workspace.folder.glob('pictures/*'))
    print((workspace.folder / 'ran.txt').read_text())


@pytest.mark.slow
def test_a_command_that_fails_fails_its_page(workspace):
    done = run_in_workspace(workspace.folder, 'agssp report no_such_folder\necho went on')
    assert done.returncode == 2 and 'failed: agssp report no_such_folder' in done.stderr
    assert 'went on' not in done.stdout
