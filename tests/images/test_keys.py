from agssp_mm.images import content_key


def test_key_goes_by_content_not_by_name(tmp_path):
    for name, data in [('a.png', b'x' * 10), ('b.png', b'x' * 10), ('c.png', b'x' * 9 + b'y')]:
        (tmp_path / name).write_bytes(data)
    assert content_key(tmp_path / 'a.png') == content_key(tmp_path / 'b.png')
    assert content_key(tmp_path / 'a.png') != content_key(tmp_path / 'c.png')
    assert content_key(tmp_path / 'a.png', seed=1) != content_key(tmp_path / 'a.png')


def test_key_sees_both_ends_of_a_large_file(tmp_path):
    for name, data in [('a', bytes(300_000)), ('b', b'1' + bytes(299_999)), ('c', bytes(299_999) + b'1')]:
        (tmp_path / name).write_bytes(data)
    assert len({content_key(tmp_path / name) for name in 'abc'}) == 3
