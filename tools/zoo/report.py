"""The table of what the sweep found, as docs/supported_detectors.md."""
from collections.abc import Mapping, Sequence
from typing import Any

STEPS = ('derive', 'AGBP', 'AGDP', 'export', 'original', 'six classes')
_DECODER = ('the `ref_point_head` of its decoder takes 512 values, but the forward that it inherits from DINO gives '
            'it 1024, in MMDetection 3.5.1 itself; its prediction fails in the same way')
# What lies behind the messages of known failures.
_CAUSES = {
    'carafe': "mmcv's CARAFE has no implementation for CPUs",
    'grounding_dino': _DECODER,
    'misc': 'its configs wrap models of Detectron2, whose backbones are not built by MMDetection',
    'mm_grounding_dino': _DECODER,
}
_HEAD = '''# Supported detectors

Written by `python tools/zoo_sweep.py`; do not edit. The smallest member of every family of MMDetection's configs that
predicts boxes ({listed} families, MMDetection {mmdet}) went through the whole pretraining on a CPU, without a network
and thus without initial weights: its stages are derived from its config, one step of AGBP and one of AGDP are trained
on two made images, and the exported detector is loaded back into the original model and into one of six classes.
Loading passes when every tensor whose shape does not depend on the number of classes is bit-equal afterwards.
"Loaded" counts the tensors that arrived, of all in the model. `make zoo` puts the packages of `requirements/zoo.txt`,
which some of the detectors import, beside the environment; without them those families fail.
The code was agssp_mm {code}.

**{passed} of {listed} families pass every step ({share:.1%}).** {missing}

| family | config | backbone (channels) | {steps} | loaded: original | loaded: six classes |
|---|---|---|{rules}---|---|
'''


def passes(result: Mapping[str, Any]) -> bool:
    """Whether every step of a result succeeded."""
    return all(result['steps'].get(step) == 'yes' for step in STEPS)


def write_report(families: Sequence[Mapping[str, Any]], excluded: Mapping[str, str],
                 results: Mapping[str, Mapping[str, Any]], mmdet_version: str) -> str:
    """Write the page.

    Args:
        families: The committed list: dicts with ``family`` and ``config``.
        excluded: Folders that are no family of box detectors, with the reason.
        results: Result per family, as ``one_family.py`` writes it.
        mmdet_version: Version of MMDetection.
    """
    passed = [one for one in families if one['family'] in results and passes(results[one['family']])]
    missing = [one['family'] for one in families if one['family'] not in results]
    text = _HEAD.format(
        listed=len(families), passed=len(passed), share=len(passed) / len(families), mmdet=mmdet_version,
        missing=f'Not run yet: {", ".join(missing)}.' if missing else 'The others are named below with their reasons.',
        code=_code(results), steps=' | '.join(STEPS), rules='---|' * len(STEPS))
    rows = [_row(one, results[one['family']]) for one in families if one['family'] in results]
    failures = [f'- **{one["family"]}**, {step}: {reason}{_cause(one["family"])}' for one in families
                for step, reason in results.get(one['family'], dict(steps={}))['steps'].items() if reason != 'yes']
    notes = [f'- **{one["family"]}**: {note}' for one in families
             for note in results.get(one['family'], {}).get('notes', [])]
    left_out = [f'- {name}: {reason}' for name, reason in sorted(excluded.items())]
    parts = [text + '\n'.join(rows), '## What fails, and why', '\n'.join(failures) or 'Nothing.',
             '## What was changed in a detector', '\n'.join(notes) or 'Nothing.',
             '## Folders of configs that are no family of box detectors', '\n'.join(left_out)]
    return '\n\n'.join(parts) + '\n'


def _code(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The states of the code that the results were made by."""
    states = dict.fromkeys(one.get('commit', 'of an unknown state') for one in results.values())
    return '; '.join(states) or 'of no run yet'


def _cause(family: str) -> str:
    return f' — {_CAUSES[family]}' if family in _CAUSES else ''


def _row(family: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    steps = [_mark(result['steps'].get(step)) for step in STEPS]
    loaded = ['/'.join(map(str, result[which])) if which in result else '–' for which in ('original', 'six classes')]
    channels = ', '.join(map(str, result.get('channels', ())))
    backbone = f'{result["backbone"]} ({channels})' if 'backbone' in result else '–'
    name = family['config'].rsplit('/', 1)[-1].removesuffix('.py')
    return f'| {" | ".join([family["family"], name, backbone, *steps, *loaded])} |'


def _mark(reason: str | None) -> str:
    return {'yes': 'yes', None: '–'}.get(reason, '**no**')
