"""``agssp doctor``: what is wrong with this environment, and the command that mends it."""
import argparse
import json
from dataclasses import asdict
from pathlib import Path

from ..doctor.checkup import check_up
from ..doctor.finding import PROBLEM

SUMMARY = 'look over this environment, and say for each problem the command that mends it'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument('--json', action='store_true', help='print one JSON object for scripts')
    parser.add_argument('--work-dir', type=Path, default=Path(),
                        help='where runs will write: its disk is looked at (default: here)')


def run(args: argparse.Namespace) -> int:
    """Print the findings; the exit status is 1 where there is a problem."""
    findings = check_up(args.work_dir)
    problems = [finding.name for finding in findings if finding.status == PROBLEM]
    if args.json:
        print(json.dumps(dict(ok=not problems, findings=[asdict(finding) for finding in findings]), indent=1))
    else:
        print(*findings, sep='\n')
        print(f'\n{len(problems)} problem(s): {", ".join(problems)}' if problems else '\nno problems')
    return 1 if problems else 0
