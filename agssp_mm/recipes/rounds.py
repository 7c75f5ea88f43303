"""Stage 2 trained several times, each time after the first on the boxes that the detector before it finds."""
from .input_needs import InputNeeds
from .source_detector import SourceDetector


def round_files(round_number: int) -> tuple[str, str | None]:
    """Names of a round: of its config and folder, and of the file with its boxes where no rule makes them.

    Args:
        round_number: From 1 on.
    """
    return ('agdp', None) if round_number == 1 else (f'agdp_round{round_number}', f'boxes_round{round_number}.json')


def why_one_round(detector: SourceDetector, needs: InputNeeds) -> str | None:
    """Why a detector cannot be asked for the boxes of another round, for people; None if it can."""
    if detector.masks is not None:
        return 'it learns masks, and further rounds have boxes alone'
    if detector.needs_proposals:
        return 'it judges proposals of another model'
    if detector.needs_texts:
        return 'it has to be told the names of the classes with every image'
    if needs.fixed:
        return 'it takes images of one size alone'
    return None
