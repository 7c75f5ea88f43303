"""The page in a real browser: no errors, and a slider that shows what Python counts."""
import json
import shutil

import cv2
import numpy as np
import pytest

from agssp_mm.datasets.synthetic import make_dataset
from agssp_mm.images import list_images
from agssp_mm.maps.box_cache import load_or_make_boxes
from agssp_mm.maps.component_tree_boxes import ComponentTreeBoxRule
from agssp_mm.maps.generate import generate_maps
from agssp_mm.maps.store import MapStore
from agssp_mm.teachers.texture import TextureTeacher
from agssp_mm.visualization.run_page import PageOptions, write_run_page

BROWSER, DRIVER = shutil.which('chromium'), shutil.which('chromedriver')
pytestmark = [pytest.mark.slow, pytest.mark.skipif(
    not (BROWSER and DRIVER), reason='there is no Chromium here: apt-get install chromium chromium-driver')]
PHONE = dict(width=390, height=844, deviceScaleFactor=1, mobile=True)
# Texts that a reader sees must not run into each other: pairs of overlapping boxes of leaf texts, outside pictures.
OVERLAPS = '''
const isHidden = node => node.closest('details:not([open]) > :not(summary)') || node.closest('select, .rows, .table');
const hasText = node => [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim());
const leaves = [...document.querySelectorAll('main *, header *')].filter(node => !isHidden(node) && hasText(node));
const found = [];
const rects = leaves.map(node => { const range = document.createRange(); range.selectNodeContents(node);
  return [...range.getClientRects()].filter(rect => rect.width > 1 && rect.height > 1); });
for (let i = 0; i < leaves.length; i++) for (let j = i + 1; j < leaves.length; j++) {
  if (leaves[i].contains(leaves[j]) || leaves[j].contains(leaves[i])) continue;
  if (leaves[i].closest('.top') !== leaves[j].closest('.top')) continue;
  for (const a of rects[i]) for (const b of rects[j]) {
    const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (width > 1 && height > 4) found.push([leaves[i].textContent, leaves[j].textContent]);
  }
}
return found;'''


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """A page of made surfaces, and the store behind it."""
    data = make_dataset(tmp_path_factory.mktemp('made'), num_images=24, size=96, seed=1)
    store = data / 'maps'
    generate_maps(list_images(data / 'images'), TextureTeacher(), store)
    page = write_run_page(store, options=PageOptions(images=data / 'images',
                                                     annotations=data / 'annotations' / 'train.json'))
    return MapStore.open(store), page


@pytest.fixture
def browser():
    from selenium import webdriver
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for argument in ('--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
                     '--window-size=1280,900'):
        options.add_argument(argument)
    options.set_capability('goog:loggingPrefs', {'browser': 'ALL'})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def text_of(browser, ident):
    return browser.find_element('id', ident).text


def picture(browser):
    data = np.frombuffer(browser.get_screenshot_as_png(), np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def test_the_slider_shows_what_python_counts(browser, run):
    from selenium.webdriver.common.keys import Keys
    store, page = run
    browser.get(page.as_uri())
    slider = browser.find_element('id', 'threshold')
    slider.send_keys(Keys.HOME)
    seen = []
    for _ in range(13):
        value = float(text_of(browser, 'threshold-value'))
        found = load_or_make_boxes(store, ComponentTreeBoxRule(threshold=value))
        counts = [len(boxes.boxes) for boxes in found.values()]
        shown = int(text_of(browser, 'num-boxes')), int(text_of(browser, 'num-empty'))
        assert shown == (sum(counts), counts.count(0))
        assert text_of(browser, 'config-line') == f"rule=dict(type='ComponentTreeBoxRule', threshold={value!r})"
        for card in browser.find_elements('css selector', '#gallery .card'):
            own = len(found[card.find_element('css selector', 'b').text].boxes)
            assert len(card.find_elements('css selector', 'rect.pseudo')) == own
            assert card.find_element('css selector', '.count').text.endswith('1 box' if own == 1 else f'{own} boxes')
        bars = browser.find_elements('css selector', 'svg[data-bars="per-image"] title')
        heights = [int(bar.get_attribute('textContent').rsplit(' ', 1)[1]) for bar in bars]
        assert heights == [counts.count(number) for number in range(10)] + [sum(n >= 10 for n in counts)]
        seen.append(shown)
        slider.send_keys(Keys.ARROW_RIGHT)
    assert len(set(seen)) > 4
    assert browser.get_log('browser') == []


def test_sorting_layers_and_the_viewer_by_keyboard(browser, run):
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import Select
    store, page = run
    browser.get(page.as_uri())
    names = [card.text for card in browser.find_elements('css selector', '#gallery b')]
    by_score = [record.name for record in sorted(store.index, key=lambda record: -record.score)]
    assert names == by_score[:12]
    Select(browser.find_element('id', 'order')).select_by_value('lowest')
    assert [card.text for card in browser.find_elements('css selector', '#gallery b')] == by_score[::-1][:12]
    assert browser.find_elements('css selector', '#gallery rect.true')
    for layer in ('show-pseudo', 'show-true'):
        browser.find_element('id', layer).send_keys(Keys.SPACE)
    assert not browser.find_elements('css selector', '#gallery rect')
    source = browser.find_element('css selector', '#gallery img').get_attribute('src')
    browser.find_element('id', 'show-map').send_keys(Keys.SPACE)
    assert browser.find_element('css selector', '#gallery img').get_attribute('src') != source
    browser.find_element('css selector', '#gallery .card').send_keys(Keys.ENTER)
    title = browser.find_element('id', 'viewer-title')
    assert title.text.startswith(by_score[-1])
    browser.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert title.text.startswith(by_score[-2])
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not browser.find_element('id', 'viewer').is_displayed()
    assert browser.get_log('browser') == []


@pytest.mark.parametrize('device', [None, PHONE], ids=['desktop', 'phone'])
def test_nothing_overlaps_and_nothing_runs_over_the_side(browser, run, device):
    if device:
        browser.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', device)
    browser.get(run[1].as_uri())
    assert browser.execute_script('return document.documentElement.scrollWidth <= innerWidth')
    assert browser.execute_script(OVERLAPS) == []
    browser.execute_script("document.querySelector('.lead').style.marginTop = '-1.5rem'")
    assert browser.execute_script(OVERLAPS)  # it would be seen


def test_the_config_line_is_copied(browser, run):
    browser.get(run[1].as_uri())
    browser.execute_cdp_cmd('Browser.grantPermissions', dict(permissions=['clipboardReadWrite']))
    browser.find_element('id', 'copy').click()
    copied = browser.execute_async_script('navigator.clipboard.readText().then(arguments[0], String)')
    assert copied == "rule=dict(type='ComponentTreeBoxRule', threshold=0.15)"
    assert text_of(browser, 'copy') == 'Copied'


def test_light_and_dark_by_the_system_and_by_hand(browser, run):
    brightness = {}
    for scheme in ('light', 'dark'):
        browser.execute_cdp_cmd('Emulation.setEmulatedMedia',
                                dict(features=[dict(name='prefers-color-scheme', value=scheme)]))
        browser.get(run[1].as_uri())
        brightness[scheme] = np.median(picture(browser))
    assert brightness['light'] > 200 and brightness['dark'] < 60
    browser.find_element('id', 'theme').click()
    assert np.median(picture(browser)) > 200


def test_names_are_no_markup(browser, image_folder, toy_teacher, tmp_path):
    for path in image_folder.glob('0[0-3].png'):
        path.rename(path.with_name(f'<img src=x onerror=alert({path.stem})>&"\'.png'))
    generate_maps(list_images(image_folder), toy_teacher, tmp_path / 'store')
    coco = dict(images=[dict(id=1, file_name='04.png')], categories=[dict(id=1, name='</script><b>')],
                annotations=[dict(image_id=1, category_id=1, bbox=[1, 1, 9, 9])])
    (tmp_path / 'truth.json').write_text(json.dumps(coco))
    page = write_run_page(tmp_path / 'store', options=PageOptions(images=image_folder,
                                                                  annotations=tmp_path / 'truth.json'))
    browser.get(page.as_uri())
    names = [card.text for card in browser.find_elements('css selector', '#gallery b')]
    assert sum(name.startswith('<img src=x') for name in names) == 4
    assert browser.get_log('browser') == []
