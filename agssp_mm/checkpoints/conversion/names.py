"""Rules that turn the name of a tensor in our libraries into its name elsewhere, and back."""
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

State = dict[str, Tensor]


@dataclass(frozen=True)
class Rule:
    """One pair of name patterns.

    `#` stands for a number and `*` for one word between dots; both patterns have the same ones in the same order.

    Args:
        ours: Pattern of the names that MMDetection gives.
        theirs: Pattern of the other library; the same names if left out.
        to_theirs: Changes the tensor on the way there.
        to_ours: Undoes that.
    """

    ours: str
    theirs: str | None = None
    to_theirs: Callable[[Tensor], Tensor] | None = None
    to_ours: Callable[[Tensor], Tensor] | None = None


def _nothing(state: State) -> State:
    return state


@dataclass(frozen=True)
class Names:
    """How one library names the tensors of one architecture.

    Args:
        rules: The first one that fits counts.
        dropped: Patterns of our names that the library has no place for, with the reason.
        ignored: Patterns of its names that hold nothing to keep, such as tables that every model computes anew.
        to_theirs: Changes what one tensor alone cannot tell, before the renaming: splits, merges, computed tables.
        to_ours: The same on the way back, after the renaming.
        note: What a user of the converted weights has to know.
    """

    rules: tuple[Rule, ...]
    dropped: Mapping[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    to_theirs: Callable[[State], State] = _nothing
    to_ours: Callable[[State], State] = _nothing
    note: str = ''


@dataclass(frozen=True)
class Architecture:
    """A family of backbones, and what the libraries that have it call its parts; see `Names`."""

    name: str
    libraries: Mapping[str, Names]


def read_names(state: Mapping[str, Tensor], names: Names) -> tuple[State, list[str]]:
    """Give tensors of a library our names.

    Returns:
        The tensors, and the names that no rule knows.
    """
    ours, unknown = {}, []
    for name, tensor in state.items():
        rule, found = _find(name, names.rules, lambda rule: rule.theirs or rule.ours)
        if rule is not None:
            ours[_fill(rule.ours, found)] = rule.to_ours(tensor) if rule.to_ours else tensor
        elif not matches_any(name, names.ignored):
            unknown.append(name)
    return (names.to_ours(ours) if ours else ours), unknown


def write_names(state: Mapping[str, Tensor], names: Names) -> tuple[State, dict[str, str]]:
    """Give tensors under our names those of a library.

    Returns:
        The tensors, and the names without a place there, with the reason.
    """
    theirs, homeless = {}, {}
    for name, tensor in names.to_theirs(dict(state)).items():
        rule, found = _find(name, names.rules, lambda rule: rule.ours)
        if rule is not None:
            theirs[_fill(rule.theirs or rule.ours, found)] = rule.to_theirs(tensor) if rule.to_theirs else tensor
        else:
            homeless[name] = next((why for pattern, why in names.dropped.items() if matches_any(name, (pattern,))), '')
    return theirs, homeless


def matches_any(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a name fits one of the patterns."""
    return any(_compile(pattern).fullmatch(name) for pattern in patterns)


def _find(name: str, rules: tuple[Rule, ...], side: Callable[[Rule], str]) -> tuple[Rule | None, tuple[str, ...]]:
    for rule in rules:
        found = _compile(side(rule)).fullmatch(name)
        if found:
            return rule, found.groups()
    return None, ()


def _compile(pattern: str) -> re.Pattern:
    # `re` keeps the patterns it has compiled.
    return re.compile(re.escape(pattern).replace(r'\#', r'(\d+)').replace('#', r'(\d+)').replace(r'\*', r'(\w+)'))


def _fill(pattern: str, found: tuple[str, ...]) -> str:
    words = iter(found)
    return re.sub(r'[#*]', lambda _: next(words), pattern)
