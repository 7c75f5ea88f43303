'use strict';
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const byId = id => document.getElementById(id);
  const make = (name, properties = {}, ...children) => {
    const node = Object.assign(document.createElement(name), properties);
    node.append(...children);
    return node;
  };
  const shape = (name, attributes) => {
    const node = document.createElementNS('http://www.w3.org/2000/svg', name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    return node;
  };

  // --- theme: the system's until the reader chooses
  const root = document.documentElement;
  const isDark = () => root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  const remembered = action => { try { return action(); } catch { return null; } };  // storage may be forbidden
  const stored = remembered(() => localStorage.getItem('agssp-theme'));
  if (stored) root.dataset.theme = stored;
  byId('theme').addEventListener('click', () => {
    root.dataset.theme = isDark() ? 'light' : 'dark';
    remembered(() => localStorage.setItem('agssp-theme', root.dataset.theme));
  });

  // --- pictures with boxes
  const maps = data.maps;
  let step = maps ? maps.own : 0;
  const isOn = id => !byId(id) || byId(id).checked;
  const drawBoxes = (svg, boxes, kind, isFaded) => {
    for (const [x1, y1, x2, y2, last] of boxes) {
      const rect = shape('rect', {x: x1, y: y1, width: x2 - x1, height: y2 - y1, class: kind});
      if (isFaded) rect.setAttribute('stroke-opacity', 0.3 + 0.7 * last);
      const title = shape('title', {});
      title.textContent = typeof last === 'number' ? `${kind}, score ${last}` : String(last);
      rect.append(title);
      svg.append(rect);
    }
  };
  const frame = (card, isDetection) => {
    const source = !isDetection && isOn('show-map') || !card.image ? card.overlay : card.image;
    const svg = shape('svg', {viewBox: `0 0 ${card.width} ${card.height}`, 'aria-hidden': 'true'});
    if (isDetection || isOn('show-true')) drawBoxes(svg, card.truth, 'true', false);
    if (isDetection) drawBoxes(svg, card.boxes, 'detection', true);
    else if (isOn('show-pseudo')) drawBoxes(svg, card.boxes[step], 'pseudo', false);
    const node = make('span', {className: 'frame'}, make('img', {src: source, alt: '', decoding: 'async'}), svg);
    return node;
  };
  const plural = (number, word) => `${number} ${word}${number === 1 ? '' : word.endsWith('x') ? 'es' : 's'}`;
  const hasSources = maps && new Set(maps.cards.map(card => card.source)).size > 1;
  const describe = (card, isDetection) => isDetection
    ? `${plural(card.boxes.filter(box => box[4] >= 0.3).length, 'box')} scored 0.3 or more`
    : `score ${card.score.toPrecision(3)} · ${plural(card.boxes[step].length, 'box')}${hasSources ? ` · ${card.source}` : ''}`;
  const tile = (card, isDetection, open) => {
    const caption = make('span', {className: 'caption'}, make('b', {textContent: card.name, title: card.name}),
      make('span', {className: 'count', textContent: describe(card, isDetection)}));
    const node = make('button', {type: 'button', className: 'card'}, frame(card, isDetection), caption);
    node.setAttribute('aria-label', `${card.name}, ${describe(card, isDetection)}: enlarge`);
    node.addEventListener('click', open);
    return node;
  };

  // --- the viewer: arrow keys go on, Escape closes
  const viewer = byId('viewer');
  let shown = [], place = 0, showsDetections = false;
  const view = () => {
    const card = shown[place], picture = frame(card, showsDetections);
    picture.style.aspectRatio = `${card.width} / ${card.height}`;
    byId('viewer-title').textContent = `${card.name} · ${describe(card, showsDetections)} · ${card.width} × ${card.height}`;
    byId('viewer-body').replaceChildren(picture);
  };
  const openViewer = (cards, index, isDetection) => {
    [shown, place, showsDetections] = [cards, index, isDetection];
    view();
    viewer.showModal();
  };
  const move = by => { place = (place + by + shown.length) % shown.length; view(); };
  byId('previous').addEventListener('click', () => move(-1));
  byId('next').addEventListener('click', () => move(1));
  byId('close').addEventListener('click', () => viewer.close());
  viewer.addEventListener('keydown', event => {
    if (event.key === 'ArrowLeft') move(-1);
    if (event.key === 'ArrowRight') move(1);
  });
  viewer.addEventListener('click', event => { if (event.target === viewer) viewer.close(); });

  if (byId('predictions')) {
    byId('predictions').append(...data.predictions.map((card, index) =>
      tile(card, true, () => openViewer(data.predictions, index, true))));
  }
  if (!maps) return;

  // --- gallery and threshold
  const drawGallery = () => {
    const cards = maps.orders[byId('order').value].map(index => maps.cards[index]);
    byId('gallery').replaceChildren(...cards.map((card, index) => tile(card, false, () => openViewer(cards, index, false))));
  };
  const drawBars = (ident, counts) => {
    const svg = document.querySelector(`svg[data-bars="${ident}"]`);
    const {top, bottom, height} = svg.dataset;
    svg.querySelectorAll('rect.bar').forEach((bar, index) => {
      const size = height * counts[index] / top;
      bar.setAttribute('height', size);
      bar.setAttribute('y', bottom - size);
      bar.firstElementChild.textContent = bar.firstElementChild.textContent.replace(/\d+$/, counts[index]);
    });
  };
  const chooseStep = number => {
    step = number;
    const now = maps.steps[step];
    byId('threshold-value').textContent = now.value;
    byId('threshold').setAttribute('aria-valuetext', `${now.value}: ${now.boxes} boxes`);
    byId('num-boxes').textContent = now.boxes;
    byId('num-empty').textContent = now.empty;
    byId('fact-rate').textContent = (now.boxes / (maps.sampled || 1)).toFixed(1);
    byId('fact-empty').textContent = `${(100 * now.empty / (maps.sampled || 1)).toFixed(0)} %`;
    byId('config-line').textContent = now.line;
    byId('warnings').replaceChildren(...now.warnings.map(text => make('p', {className: 'note warning', textContent: text})));
    drawBars('per-image', now.per_image);
    drawBars('sizes', now.sizes);
    drawGallery();
  };
  const slider = byId('threshold');
  if (slider) {
    slider.value = step;  // browsers remember where it stood
    slider.addEventListener('input', () => chooseStep(Number(slider.value)));
  }
  for (const id of ['order', 'show-map', 'show-pseudo', 'show-true']) byId(id)?.addEventListener('change', drawGallery);
  byId('copy').addEventListener('click', async () => {
    const line = byId('config-line');
    try {
      await navigator.clipboard.writeText(line.textContent);
    } catch {  // no permission, or a browser that allows it on served pages only
      getSelection().selectAllChildren(line);
      document.execCommand('copy');
    }
    byId('copy').textContent = 'Copied';
    setTimeout(() => { byId('copy').textContent = 'Copy'; }, 1500);
  });
  drawGallery();
})();
