"""How well activation and anomaly maps agree on held-out images."""
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS


@METRICS.register_module()
class MapAgreement(BaseMetric):
    """Mean correlation of activation and anomaly map per level, over images that were not trained on.

    Reads the field `anomaly_agreement` that `BackbonePretrainer` puts on its predictions. Logs `agreement/s<level>`
    for every level the backbone returns, in [-1, 1], higher is better; images where it is not defined (constant
    map) are left out, and it is NaN where it is not defined for any image.
    """

    default_prefix = 'agreement'

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep the agreement of each image.

        Raises:
            ValueError: If the predictions carry none.
        """
        for sample in data_samples:
            if 'anomaly_agreement' not in sample:
                raise ValueError('MapAgreement needs predictions of BackbonePretrainer, which carry '
                                 '`anomaly_agreement`; the model of this config gives others')
            self.results.append(sample['anomaly_agreement'].cpu().numpy())

    def compute_metrics(self, results: list[np.ndarray]) -> dict[str, float]:
        """Average over the images where the agreement is defined."""
        values = np.stack(results).astype(np.float64)
        defined = np.isfinite(values)
        sums, counts = np.where(defined, values, 0).sum(0), defined.sum(0)
        return {f's{level}': float(total / count) if count else float('nan')
                for level, (total, count) in enumerate(zip(sums, counts))}
