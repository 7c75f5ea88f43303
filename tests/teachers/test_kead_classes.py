"""Which class stands for an image."""
import logging

import pytest

from agssp_mm.teachers.kead_classes import GENERIC, ClassChoice
from agssp_mm.teachers.prompts import GENERIC_TEXTS, ClassTexts

TEXTS = {'rail': ClassTexts('rail'), 'pipe': ClassTexts('pipe')}


def test_one_class_stands_for_all_images():
    choice = ClassChoice.of(TEXTS, 'pipe')
    assert choice.texts == {'pipe': TEXTS['pipe']}
    assert choice.names(None, 3) == ['pipe'] * 3
    assert choice.names(['anything'] * 2, 2) == ['pipe'] * 2


def test_the_only_class_and_the_default_need_no_choice():
    assert ClassChoice.of({'rail': TEXTS['rail']}, None).names(None, 1) == ['rail']
    assert ClassChoice.of({**TEXTS, 'generic_metal': GENERIC_TEXTS}, None).names(None, 1) == ['generic_metal']
    with pytest.raises(ValueError, match="describe the classes .'pipe', 'rail'.; choose one with text_class"):
        ClassChoice.of(TEXTS, None)


def test_sources_choose_and_unknown_ones_fall_back_to_generic_states(caplog):
    choice = ClassChoice.of(TEXTS, {'mill': 'rail', 'yard': None})
    assert choice.texts == {GENERIC: GENERIC_TEXTS, 'rail': TEXTS['rail']}
    with caplog.at_level(logging.WARNING):
        assert choice.names(['mill', 'yard', 'shed'], 3) == ['rail', GENERIC, GENERIC]
        choice.names(['shed'], 1)
    assert [record.getMessage() for record in caplog.records] == [
        "text_class names no class for the source 'shed': its images are compared with the generic states alone"]


@pytest.mark.parametrize('sources', [None, ['mill']])
def test_sources_must_be_given_where_they_choose(sources):
    with pytest.raises(ValueError, match="by source .*'mill'.*give the source of each of the 2 images"):
        ClassChoice.of(TEXTS, {'mill': 'rail'}).names(sources, 2)


@pytest.mark.parametrize('text_class', ['tube', {'mill': 'tube'}])
def test_a_class_without_texts_is_refused(text_class):
    with pytest.raises(ValueError, match="asks for .'tube'., but the texts describe .'pipe', 'rail'."):
        ClassChoice.of(TEXTS, text_class)
