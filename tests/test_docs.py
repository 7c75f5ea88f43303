"""The documentation: every page in the navigation, quoted messages real, the site built without a warning."""
import ast
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
DOCS = ROOT / 'docs'


def pages(entry) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    return [page for part in (entry.values() if isinstance(entry, dict) else entry) for page in pages(part)]


def test_the_navigation_has_every_page_once():
    named = pages(yaml.safe_load((ROOT / 'mkdocs.yml').read_text())['nav'])
    assert sorted(named) == sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob('*.md'))


def test_quoted_messages_stand_in_the_source():
    said = [node.value for path in (ROOT / 'agssp_mm').rglob('*.py') for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    quoted = re.findall(r'^## `(.*)`$', (DOCS / 'troubleshooting.md').read_text(), re.MULTILINE)
    assert len(quoted) >= 12
    foreign = {"No module named 'mmcv._ext'", 'CUDA out of memory'}  # of Python and PyTorch
    assert {message for message in quoted if not any(message in text for text in said)} == foreign


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    if find_spec('mkdocs') is None or find_spec('material') is None or find_spec('mkdocstrings') is None:
        pytest.skip('mkdocs is not installed: pip install -r requirements/docs.txt')
    done = subprocess.run([sys.executable, '-m', 'mkdocs', 'build', '--strict', '--site-dir', str(tmp_path)], cwd=ROOT,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 'agssp_mm.api.pretrain' in (tmp_path / 'api' / 'index.html').read_text()
