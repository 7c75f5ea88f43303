import pytest

from agssp_mm.recipes import InputNeeds, read_detector, round_files, why_one_round


def test_names_of_rounds():
    assert round_files(1) == ('agdp', None)
    assert round_files(3) == ('agdp_round3', 'boxes_round3.json')


@pytest.mark.parametrize('config, is_fixed, reason', [
    ('mmdet::retinanet/retinanet_r18_fpn_1x_coco.py', False, None),
    ('mmdet::retinanet/retinanet_r18_fpn_1x_coco.py', True, 'images of one size'),
    ('mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py', False, 'learns masks'),
    ('mmdet::fast_rcnn/fast-rcnn_r50_fpn_1x_coco.py', False, 'proposals of another model'),
    ('mmdet::glip/glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365.py', False, 'names of the classes'),
])
def test_who_can_make_the_boxes_of_another_round(config, is_fixed, reason):
    found = why_one_round(read_detector(config, downloads=False), InputNeeds(32, fixed=is_fixed))
    assert found is None if reason is None else reason in found
