"""The classification form of AGBP: sources as classes."""
import logging
from collections.abc import Mapping

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner


@HOOKS.register_module()
class SourceClassesHook(Hook):
    """Check that a classifier has one class per source, and switch it off where there is one source only.

    The paper adds a cross-entropy over the parts of its corpus, weighted 0.1, to the distillation (method of arXiv
    2509.18919, classification rows). A single part gives that loss nothing to learn.
    """

    def before_train(self, runner: Runner) -> None:
        """Compare sources and classes.

        Raises:
            ValueError: If the data set names no sources, or their number is not the classifier's ``num_classes``.
        """
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        sources = _sources_of(runner.train_dataloader.dataset.metainfo)
        num_classes = model.head.num_classes
        if num_classes != len(sources):
            raise ValueError(f'the classifier has num_classes={num_classes}, but the map store has {len(sources)} '
                             f'sources {sources}; set model.head.num_classes={len(sources)}')
        if len(sources) == 1:
            model.head.loss_module.loss_weight = 0.0
            print_log('there is one source only, so the classification branch has nothing to learn and is switched '
                      'off; declare sources when generating the maps to use it', logger='current',
                      level=logging.WARNING)


def _sources_of(metainfo: Mapping) -> tuple[str, ...]:
    if 'sources' not in metainfo:
        raise ValueError('SourceClassesHook needs a data set that names its sources, such as PseudoBoxDataset; '
                         f'its metainfo has {sorted(metainfo)}')
    return tuple(metainfo['sources'])
