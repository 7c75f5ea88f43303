"""Finding and building what configs name."""
import copy
import difflib

from mmengine.config import ConfigDict
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, DefaultScope
from torch import nn


def model_class(config: dict, scope: str, what: str = 'model') -> type:
    """The class that a config names.

    Args:
        config: With a ``type``.
        scope: Registry scope of bare names.
        what: The part, for messages.

    Raises:
        ValueError: If it names none, or one that is not registered.
    """
    kind = config.get('type')
    if isinstance(kind, type):
        return kind
    with MODELS.switch_scope_and_registry(config.get('_scope_') or scope) as registry:
        found = registry.get(kind) if kind else None
        if found is None:
            known = [*registry.module_dict, *MODELS.module_dict]
    if found is None:
        near = ', '.join(difflib.get_close_matches(str(kind), known, 3))
        raise ValueError(f'unknown type of the {what}: {kind!r}' + (f' (is it one of {near}?)' if near else '')
                         + '; a type of another package needs its module in custom_imports of the config')
    return found


def build(config: dict, scope: str) -> nn.Module:
    """Build a module for inspection: on the CPU, without initial weights, without synchronised batch norms.

    Args:
        config: Config of a model or backbone; not changed.
        scope: Registry scope of bare names.
    """
    with DefaultScope.overwrite_default_scope(scope):
        # Models read their settings as attributes too.
        return revert_sync_batchnorm(MODELS.build(ConfigDict(copy.deepcopy(config))))


def without_weights(config: dict) -> dict:
    """A copy of a backbone's config that loads nothing."""
    config = dict(copy.deepcopy(config), init_cfg=None)
    if config.get('pretrained'):
        config['pretrained'] = False if isinstance(config['pretrained'], bool) else None
    return config
