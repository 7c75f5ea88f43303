import pytest
import torch

from agssp_mm.engine.map_agreement import MapAgreement


def test_levels_are_averaged_over_the_images_where_they_are_defined():
    metric = MapAgreement()
    nan = torch.nan
    metric.process(None, [dict(anomaly_agreement=torch.tensor([0.5, nan, nan])),
                          dict(anomaly_agreement=torch.tensor([0.1, -0.4, nan]))])
    metric.process(None, [dict(anomaly_agreement=torch.tensor([0.0, 0.8, nan]))])
    result = metric.evaluate(3)
    assert result['agreement/s0'] == pytest.approx(0.2) and result['agreement/s1'] == pytest.approx(0.2)
    assert result['agreement/s2'] != result['agreement/s2']


def test_predictions_of_another_model_are_refused():
    with pytest.raises(ValueError, match='needs predictions of BackbonePretrainer'):
        MapAgreement().process(None, [dict(pred_label=1)])
