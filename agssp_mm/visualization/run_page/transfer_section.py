"""What the page shows of the transfer benchmark, or of the demo's comparison."""
import json
import math
from typing import Any

from .charts import line_chart
from .transfer_results import METRICS, efficiency_curves, read_demo_results, read_results, result_rows
from .work_folder import WorkFolder


def transfer_section(folder: WorkFolder) -> dict[str, Any] | None:
    """Table and curves; None where there is no result yet."""
    lines = read_results(folder.results, folder.problems)
    demo = folder.path / 'results.json'
    if folder.kind == 'demo' and demo.is_file():
        try:
            lines += read_demo_results(demo, _num_labelled(folder))
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            folder.problems.append(f'{demo} cannot be read ({type(error).__name__}: {error})')
    if not lines:
        return None
    rows = result_rows(lines)
    for row in rows:
        row['cells'] = [f'{row["mean"][metric]:.1f}' for metric in METRICS]
        row['gains'] = [_interval(row['difference'][metric]) for metric in METRICS]
    curves = [line_chart(f'Labels and {METRICS[0]}: {group}', starts, 'share of the labels, %', METRICS[0],
                         is_dotted=True)
              for group, starts in efficiency_curves(rows).items()]
    return dict(rows=rows, curves=curves, metrics=METRICS, groups=list(dict.fromkeys(row['group'] for row in rows)))


def _num_labelled(folder: WorkFolder) -> int | None:
    path = folder.path / 'data' / 'annotations' / 'train_few.json'
    try:
        return len(json.loads(path.read_text(encoding='utf-8'))['images'])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _interval(found: Any) -> str:
    if found is None:
        return ''
    if math.isnan(found.low):
        return f'{found.mean:+.1f} (one seed)'
    return f'{found.mean:+.1f} ({found.low:+.1f} to {found.high:+.1f})'
