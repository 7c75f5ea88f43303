"""One line of the doctor's report."""
from dataclasses import dataclass

#: Fine; fine as it is, but something optional is missing; something that has to be mended.
OK, NOTE, PROBLEM = 'ok', 'note', 'problem'


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        name: What was looked at.
        status: ``OK``, ``NOTE`` or ``PROBLEM``.
        text: What was found, one line.
        mend: The command that mends it, or what to do where no command can; empty where nothing has to be done.
    """

    name: str
    status: str
    text: str
    mend: str = ''

    def __post_init__(self) -> None:
        assert self.status in (OK, NOTE, PROBLEM), self.status
        assert self.status != PROBLEM or self.mend, f'{self.name}: a problem without a way out'

    def __str__(self) -> str:
        line = f'{self.status:7}  {self.name}: {self.text}'
        return f'{line}\n{"":9}{"mend" if self.status == PROBLEM else "if wanted"}: {self.mend}' if self.mend else line
