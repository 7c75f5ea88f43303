from agssp_mm.doctor.finding import NOTE, OK
from agssp_mm.doctor.weights import check_weights


def found_in(home):
    return {finding.name: finding for finding in check_weights({'HOME': str(home)})}


def test_weights_in_the_caches_are_found(tmp_path):
    before = found_in(tmp_path)
    assert before['weights, KeAD'].status == NOTE
    assert 'load_clip' in before['weights, KeAD'].mend
    assert before['weights, PyTorch'].text.startswith('none in ')
    files = ('clip/vit_b_16_plus_240-laion400m_e32-699c4b84.pt', 'torch/hub/checkpoints/resnet18.pth',
             'huggingface/hub/models--a--b/snapshots/1/model.safetensors')
    for name in files:
        path = tmp_path / '.cache' / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b'0')
    after = found_in(tmp_path)
    assert after['weights, KeAD'].status == OK
    assert after['weights, PyTorch'].text.endswith('checkpoints: resnet18.pth')
    assert after['weights, Hugging Face'].text.endswith('hub: model.safetensors')


def test_a_link_that_leads_nowhere_is_passed_over(tmp_path):
    folder = tmp_path / '.cache' / 'huggingface' / 'hub' / 'models--a--b' / 'snapshots' / '1'
    folder.mkdir(parents=True)
    (folder / 'model.safetensors').symlink_to(tmp_path / 'gone')
    assert found_in(tmp_path)['weights, Hugging Face'].text.startswith('none in ')
