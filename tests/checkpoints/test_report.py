import pytest
import torch

from agssp_mm.checkpoints.report import compare_contents, compare_weights


def tensors(**shapes):
    return {name.replace('__', '.'): torch.zeros(shape) for name, shape in shapes.items()}


MODEL = tensors(backbone__conv=(4, 3), backbone__bn=(4,), neck__conv=(2, 4), head__cls=(6, 2), head__reg=(4, 2))
FILE = tensors(backbone__conv=(4, 3), backbone__bn=(5,), head__cls=(1, 2), head__reg=(4, 2), fc__weight=(9, 9))


def test_every_tensor_has_one_place():
    report = compare_weights(MODEL, FILE)
    assert report.matched == ('backbone.conv', 'head.reg')
    assert report.wrong_shape == {'backbone.bn': ((5,), (4,)), 'head.cls': ((1, 2), (6, 2))}
    assert report.missing == ('neck.conv',) and report.unexpected == ('fc.weight',)
    assert report.class_dependent == ('head.cls',)
    assert report.left_out == ('backbone.bn', 'head.cls', 'fc.weight')
    assert report.by_module() == {'backbone': (1, 2), 'neck': (0, 1), 'head': (1, 2)}
    assert report.matched_share == pytest.approx(2 / 4)


def test_the_text_names_what_was_left_out():
    report = compare_weights(MODEL, FILE)
    assert report.text().splitlines() == [
        '2 of 5 tensors of the model loaded (backbone 1/2, head 1/2, neck 0/1)',
        '  1 left out, because the number of classes is another one: head.cls (file (1, 2), model (6, 2))',
        '  1 left out, because the shape is another one: backbone.bn (file (5,), model (4,))',
        '  1 of the model not in the file: neck.conv',
        '  1 of the file not in the model: fc.weight']


def test_long_lists_are_cut():
    report = compare_weights({f'a.{i}': torch.zeros(1) for i in range(23)}, {})
    assert report.text().endswith('a.19, and 3 more')


@pytest.mark.parametrize('file, share', [
    (MODEL, 1.0),
    (tensors(backbone__conv=(4, 3), backbone__bn=(4,)), 1.0),                    # a backbone into a detector
    ({**MODEL, **tensors(mask_head__a=(1,), mask_head__b=(1,))}, 1.0),           # a larger model into a smaller one
    ({**MODEL, **tensors(head__cls=(1, 2))}, 1.0),                               # another number of classes
    (tensors(backbone__conv=(4, 3), x__a=(1,), x__b=(1,), x__c=(1,)), 1 / 4),
    (tensors(x__a=(1,)), 0.0),
    ({}, 0.0),
])
def test_the_share_is_of_the_smaller_side(file, share):
    assert compare_weights(MODEL, file).matched_share == pytest.approx(share)


def test_a_narrower_backbone_is_no_matter_of_classes():
    report = compare_weights(tensors(backbone__conv=(4, 3), neck__conv=(8, 4)),
                             tensors(backbone__conv=(2, 3), neck__conv=(4, 4)))
    assert report.class_dependent == () and report.matched_share == 0


def test_old_files_without_counters_of_batch_norm_are_complete():
    model = tensors(bn__weight=(2,), bn__num_batches_tracked=())
    assert compare_weights(model, tensors(bn__weight=(2,))).missing == ()
    assert compare_weights(model, model).matched == ('bn.weight', 'bn.num_batches_tracked')


def test_contents_are_found_under_other_names():
    model = {'a': torch.ones(2), 'b': torch.arange(3.0), 'c': torch.zeros(2)}
    report = compare_contents(model, {'x': torch.arange(3.0), 'y': torch.ones(2), 'z': torch.full((2,), 5.0)})
    assert report.matched == ('a', 'b') and report.missing == ('c',) and report.unexpected == ('z',)
    assert report.matched_share == pytest.approx(2 / 3)
