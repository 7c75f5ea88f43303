"""A toy CLIP on disk, and KeAD written out slowly from its description, as the reference of several tests."""
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

STATES = (['{}', 'flawless {}', 'perfect {}', 'unblemished {}'],
          ['damaged {}', '{} with flaw', '{} with defect', '{} with damage'])
TEMPLATES = [f'a {kind} photo of {article} {{}}.' for kind, articles in (
    ('cropped', ['the']), ('close-up', ['a', 'the']), ('bright', ['a', 'the']), ('dark', ['the', 'a']),
    ('jpeg corrupted', ['the', 'the']), ('blurry', ['the', 'a'])) for article in articles]
TEMPLATES += ['a photo of a {}.', 'a photo of the {}.', 'a photo of a small {}.', 'a photo of the small {}.',
              'a photo of a large {}.', 'a photo of the large {}.', 'a photo of the {} for visual inspection.',
              'a photo of a {} for visual inspection.', 'a photo of the {} for anomaly detection.',
              'a photo of a {} for anomaly detection.']
TEXTS = {
    'plate': {'map': 'metal plate', 'des': {'good': ['{} without cracks'],
                                            'defect': ['{} with pits, small dark holes', '{} with a streak']},
              'samples': ['plate_0.png', 'plate_1.png', 'plate_2.png']},
    'pipe': {'map': 'steel pipe', 'des': {'good': [], 'defect': ['{} with wrinkles']}, 'samples': ['pipe_0.png']},
    'rail': {'map': 'rail', 'des': {'good': ['{} that shines'], 'defect': []}, 'samples': []},
}
FEW_TEMPLATES = ['a photo of the {}.', 'a dark photo of a {}.']


@pytest.fixture(autouse=True, scope='module')
def one_thread():
    """Toys this small wait for their threads longer than they compute; modules import this to have it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def toy_config(layers=12, image_size=32, **vision):
    return dict(embed_dim=12, vision_cfg=dict(image_size=image_size, layers=layers, width=32, head_width=8,
                                              patch_size=8, **vision),
                text_cfg=dict(context_length=77, vocab_size=49408, width=8, heads=2, layers=1))


def write_clip(folder: Path, seed=0, **config) -> dict[str, str]:
    """Write model.json and weights.pt of a seeded toy; the arguments of a teacher that name them."""
    import open_clip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'model.json').write_text(json.dumps(toy_config(**config)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        state = open_clip.CLIP(**toy_config(**config)).state_dict()
    torch.save(state, folder / 'weights.pt')
    return dict(model=str(folder / 'model.json'), pretrained=str(folder / 'weights.pt'))


def write_texts(folder: Path, size=32, seed=0) -> str:
    """Write texts.json and its normal images."""
    generator = np.random.default_rng(seed)
    (folder / 'texts.json').write_text(json.dumps(TEXTS))
    for known in TEXTS.values():
        for name in known['samples']:
            Image.fromarray(generator.integers(0, 256, (size, size, 3), dtype=np.uint8)).save(folder / name)
    return str(folder / 'texts.json')


def toy_images(number, size=(40, 56), seed=1):
    """BGR noise that is smooth enough not to look alike everywhere."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (number, 6, 7, 3), dtype=np.uint8)
    return [np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR)) for image in coarse]


def reference_transform(image_bgr, size):
    """(3, S, S) float64 of one image."""
    rgb = Image.fromarray(np.ascontiguousarray(image_bgr[..., ::-1])).resize((size, size), Image.Resampling.BICUBIC)
    mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    return torch.tensor((np.asarray(rgb) / 255 - mean) / std).permute(2, 0, 1)


def _norm(weights, name, x):
    mean, variance = x.mean(-1, keepdim=True), x.var(-1, unbiased=False, keepdim=True)
    return (x - mean) / (variance + 1e-5).sqrt() * weights[f'{name}.weight'] + weights[f'{name}.bias']


def _attention(weights, block, query, key, value, head_width):
    """One image: (N, C) each; softmax head by head, then the block's own output projection."""
    heads = []
    for start in range(0, query.shape[1], head_width):
        q, k, v = (part[:, start:start + head_width] for part in (query, key, value))
        heads.append(torch.softmax(q @ k.T / math.sqrt(head_width), dim=1) @ v)
    return torch.cat(heads, 1) @ weights[f'{block}.attn.out_proj.weight'].T + weights[f'{block}.attn.out_proj.bias']


def reference_tower(state, config, image, surgery, aliased, layers, dpam_layer):
    """Level tokens (levels, 1 + P, D) and embedding (D,) of one (3, S, S) image, in float64."""
    weights = {name.removeprefix('visual.'): tensor.double() for name, tensor in state.items()
               if name.startswith('visual.')}
    vision = config['vision_cfg']
    patch, head_width, depth = vision['patch_size'], vision['head_width'], vision['layers']
    cells = image.unfold(1, patch, patch).unfold(2, patch, patch).permute(1, 2, 0, 3, 4).flatten(2).flatten(0, 1)
    patches = cells.double() @ weights['conv1.weight'].flatten(1).T
    x = torch.cat([weights['class_embedding'][None], patches]) + weights['positional_embedding']
    x = _norm(weights, 'ln_pre', x)
    v_stream, kept = None, {}
    for number in range(1, depth + 1):
        block = f'transformer.resblocks.{number - 1}'
        y = _norm(weights, f'{block}.ln_1', x)
        qkv = y @ weights[f'{block}.attn.in_proj_weight'].T + weights[f'{block}.attn.in_proj_bias']
        q, k, v = qkv.chunk(3, dim=1)
        if number > depth - (dpam_layer - 1):
            out = _attention(weights, block, v, v, v, head_width)
            v_stream = out if surgery == 'vv' else out + (x if v_stream is None else v_stream)
        x = x + _attention(weights, block, q, k, v, head_width)
        hidden = _norm(weights, f'{block}.ln_2', x) @ weights[f'{block}.mlp.c_fc.weight'].T
        hidden = torch.nn.functional.gelu(hidden + weights[f'{block}.mlp.c_fc.bias'])
        x = x + hidden @ weights[f'{block}.mlp.c_proj.weight'].T + weights[f'{block}.mlp.c_proj.bias']
        kept[number] = (x if v_stream is None else v_stream, v_stream is not None)
    levels = [v_stream if aliased and in_place else kept_level for kept_level, in_place in map(kept.get, layers)]
    project = lambda tokens: _norm(weights, 'ln_post', tokens) @ weights['proj']  # noqa: E731
    return torch.stack([project(level) for level in levels]), project(x[0])


def reference_texts(encode_text, known, templates):
    """Averages n, a, r (3, D) of one class; encode_text takes a list of prompts."""
    def average(prompts):
        return unit(unit(encode_text(prompts).double()).mean(0))

    nouns = [[state.format(known['map']) for state in states + known['des'][key]]
             for states, key in zip(STATES, ('good', 'defect'))]
    return torch.stack([average([template.format(noun) for noun in part for template in templates])
                        for part in (*nouns, [''])])


def unit(x):
    return x / x.norm(dim=-1, keepdim=True)


def reference_maps(levels, embedding, texts, memory):
    """Text map, few-shot map (P,), zero-shot and few-shot score of one image; memory (levels, M, D) or None."""
    normal, anomalous, empty = texts
    directions = torch.stack([unit(normal - empty), unit(anomalous - empty)])
    probability = lambda f: torch.softmax(unit(f) @ directions.T / 0.07, dim=-1)[..., 1]  # noqa: E731
    text = probability(levels[:, 1:]).mean(0)
    zero_shot = probability(embedding)
    if memory is None:
        return text, torch.zeros_like(text), zero_shot, zero_shot
    few = torch.stack([((1 - unit(level[1:]) @ unit(kept).T) / 2).min(1).values
                       for level, kept in zip(levels, memory)]).mean(0)
    return text, few, zero_shot, (zero_shot + (text + few).max()) / 2


def write_golden(folder: Path, surgery='vv_res', aliased=True, layers=(3, 6, 9, 12), dpam_layer=10, image_size=32,
                 class_ids=(0, 1, 2, 0)):
    """A folder of the layout that kead_parity.py reads, arrays by the slow reference above."""
    import open_clip
    write_clip(folder, image_size=image_size)
    write_texts(folder, image_size)
    config, state = toy_config(image_size=image_size), torch.load(folder / 'weights.pt', weights_only=True)
    model, tokenizer = open_clip.CLIP(**config).eval(), open_clip.SimpleTokenizer(context_length=77)
    model.load_state_dict(state)

    def encode_text(prompts):
        with torch.no_grad():
            return model.encode_text(tokenizer(prompts))

    def tower(image):
        return reference_tower(state, config, reference_transform(image, image_size), surgery, aliased, layers,
                               dpam_layer)

    texts = [reference_texts(encode_text, known, TEMPLATES) for known in TEXTS.values()]
    normals = [[np.asarray(Image.open(folder / name))[..., ::-1] for name in known['samples']]
               for known in TEXTS.values()]
    memories = [torch.cat([tower(image)[0][:, 1:] for image in images], 1) if images else None for images in normals]
    images = toy_images(len(class_ids), (image_size, image_size))
    towers = [tower(image) for image in images]
    maps = [reference_maps(*out, texts[index], memories[index]) for out, index in zip(towers, class_ids)]
    side = image_size // 8
    text, few, zero_shot, few_shot = (torch.stack(parts).numpy() for parts in zip(*maps))
    text, few = text.reshape(-1, side, side), few.reshape(-1, side, side)
    golden = dict(
        images=np.stack([image[..., ::-1] for image in images]), class_id=np.array(class_ids),
        preprocessed=np.stack([reference_transform(image, image_size) for image in images]),
        image_embedding=torch.stack([out[1] for out in towers]).numpy(),
        level_tokens=torch.stack([out[0] for out in towers], 1).numpy(), text_map=text, few_shot_map=few,
        anomaly_map=text + few, zero_shot_score=zero_shot, few_shot_score=few_shot,
        **{f'text_{kind}': torch.stack(texts)[:, row].numpy()
           for row, kind in enumerate(('normal', 'anomalous', 'empty'))})
    np.savez(folder / 'golden.npz', **golden)
    return golden
