"""The code blocks of README, CONTRIBUTING and docs, for the tests that parse and run them.

A block that this project's own machines cannot run has `<!-- not run: reason -->` on the line before it.
"""
import re
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).parents[1]
_FENCE = re.compile(r'(?P<before>[^\n]*)\n```(?P<language>[^\n]*)\n(?P<text>.*?)^```[ ]*$', re.MULTILINE | re.DOTALL)
_MARKER = re.compile(r'<!-- not run:(?P<reason>.*)-->\s*$')


class Block(NamedTuple):
    """One fenced block.

    Attributes:
        page: Path relative to the checkout.
        line: Of its first fence, counted from 1.
        language: What the fence says.
        text: What stands between the fences.
        reason: Why it is not run; None where it is.
    """

    page: str
    line: int
    language: str
    text: str
    reason: str | None


def page_names() -> list[str]:
    """README and CONTRIBUTING, then docs in the order of the navigation."""
    nav = yaml.safe_load((ROOT / 'mkdocs.yml').read_text(encoding='utf-8'))['nav']
    return ['README.md', 'CONTRIBUTING.md', *(f'docs/{name}' for name in named_pages(nav))]


def named_pages(entry) -> list[str]:
    """Every page below an entry of the navigation."""
    if isinstance(entry, str):
        return [entry]
    return [page for part in (entry.values() if isinstance(entry, dict) else entry) for page in named_pages(part)]


def read_blocks(page: str) -> list[Block]:
    """All fenced blocks of a page, in order."""
    text = '\n' + (ROOT / page).read_text(encoding='utf-8')
    found = []
    for match in _FENCE.finditer(text):
        marker = _MARKER.match(match['before'].strip())
        line = text.count('\n', 0, match.start('language'))
        found.append(Block(page, line, match['language'].strip(), match['text'],
                           marker['reason'].strip() if marker else None))
    return found
