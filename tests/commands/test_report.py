"""``agssp report``."""
from agssp_mm.cli import main
from agssp_mm.images import list_images
from agssp_mm.maps.generate import generate_maps


def test_a_store_becomes_a_page(image_folder, toy_teacher, tmp_path, capsys):
    generate_maps(list_images(image_folder), toy_teacher, tmp_path / 'store')
    page = tmp_path / 'page.html'
    assert main(['report', str(tmp_path / 'store'), '--out', str(page), '--images', str(image_folder), '--rule',
                 'paper', '--rule-options', 'offset=0.2', '--sample', '5', '--seed', '2']) == 0
    assert capsys.readouterr().out == f'page: {page}\n'
    text = page.read_text()
    assert 'a random sample of 5 of the' in text and '(seed 2)' in text
    assert 'rule=dict(type=&#39;PaperBoxRule&#39;, offset=0.2)' in text


def test_a_list_is_no_folder_of_images(image_folder, toy_teacher, tmp_path, capsys):
    generate_maps(list_images(image_folder), toy_teacher, tmp_path / 'maps')
    (tmp_path / 'list.txt').write_text('00.png')
    assert main(['report', str(tmp_path / 'maps'), '--images', str(tmp_path / 'list.txt')]) == 2
    assert 'list.txt is no folder; give the folder that the names of' in capsys.readouterr().err


def test_a_folder_that_is_none(tmp_path, capsys):
    assert main(['report', str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f'agssp report: error: {tmp_path} is no folder of a run')
    assert main(['report', str(tmp_path), '--rule', 'circles']) == 2
    assert "unknown box rule 'circles'" in capsys.readouterr().err
