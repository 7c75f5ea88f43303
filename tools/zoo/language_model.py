"""A small made language model for the detectors that have one: its weights are random, as all are in the sweep."""
import string
from pathlib import Path
from typing import Any

from agssp_mm.engine.walk import walk
from agssp_mm.files import write_atomically

_SPECIAL = ('[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]')
_LAYERS = 2
_WEIGHTS = 'model.safetensors'


def use_language_model(model: Any, folder: Path) -> list[str]:
    """Put a made language model in the place of the one that a detector fetches from a hub.

    It is a BERT as wide as the usual one, which heads rely on, with two layers and a vocabulary of single letters.

    Args:
        model: Config of a detector, changed in place.
        folder: Where the model is, or is made.

    Returns:
        What was changed, for people.
    """
    names = {part['language_model']['name'] for part in walk(model) if part.get('language_model')}
    if not names:
        return []
    make_language_model(folder)
    for part in walk(model):
        part.update({key: str(folder) for key, value in part.items() if isinstance(value, str) and value in names})
    return [f'the language model {", ".join(sorted(names))} is a made one with random weights and {_LAYERS} layers']


def make_language_model(folder: Path) -> None:
    """Make the model and its tokenizer, if they are not there."""
    from transformers import BertConfig, BertModel, BertTokenizer
    if (folder / _WEIGHTS).is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    letters = [*string.ascii_lowercase, *string.digits, *string.punctuation]
    vocabulary = [*_SPECIAL, *letters, *(f'##{letter}' for letter in letters)]
    with write_atomically(folder / 'vocab.txt') as file:
        file.write('\n'.join(vocabulary).encode())
    BertTokenizer(str(folder / 'vocab.txt')).save_pretrained(folder)
    BertModel(BertConfig(vocab_size=len(vocabulary), num_hidden_layers=_LAYERS)).save_pretrained(folder)
