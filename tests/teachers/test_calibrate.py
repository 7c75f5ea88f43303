import numpy as np
import pytest

from agssp_mm.teachers.calibrate import Calibration


def test_fit_puts_median_and_tail_where_they_belong():
    values = np.random.default_rng(0).lognormal(size=20_001)
    calibration = Calibration.fit(values)
    fitted = calibration.apply(np.quantile(values, [0.5, 0.99]))
    np.testing.assert_allclose(fitted, [0.1, 0.8], atol=1e-6)


def test_of_masks_of_small_defects_the_tail_is_theirs(caplog):
    values = np.zeros(100_000)
    values[:500] = np.linspace(0, 1, 500)
    found = Calibration.fit(values)
    assert found.apply(np.array([0, np.quantile(values[values > 0], 0.99)])) == pytest.approx([0, 0.8], abs=1e-6)
    assert not caplog.text
    Calibration.fit(np.zeros(10))
    assert 'are all zero' in caplog.text


def test_closed_form_of_both_kinds():
    # raw = scale is the half of the log-logistic curve; at twice the scale and shape 2 it is 1 / (1 + 1/4)
    np.testing.assert_allclose(Calibration('log-logistic', 3.0, 2.0).apply([0.0, 3.0, 6.0]), [0.0, 0.5, 0.8])
    np.testing.assert_allclose(Calibration('linear', 2.0).apply([0.0, 1.0, 2.0, 3.0]), [0.0, 0.5, 1.0, 1.0])


@pytest.mark.parametrize('calibration', [Calibration('linear', 2.0), Calibration('log-logistic', 0.7, 2.5)])
def test_increasing_and_invertible(calibration):
    raw = np.linspace(0.0, 2.0, 101, dtype=np.float32)
    calibrated = calibration.apply(raw)
    assert calibrated.dtype == np.float32 and (np.diff(calibrated) > 0).all()
    np.testing.assert_allclose(calibration.invert(calibrated), raw, rtol=1e-4, atol=1e-6)


def test_extremes_stay_finite():
    calibration = Calibration('log-logistic', 1.0, 16.0)
    assert calibration.apply(np.array([1e30])).tolist() == [1.0]
    assert np.isfinite(calibration.invert(np.array([1.0]))).all()


@pytest.mark.parametrize('values', [np.zeros(10), np.ones(10), np.r_[np.zeros(90), np.ones(10)]])
def test_degenerate_samples_give_a_usable_curve(values):
    calibrated = Calibration.fit(values).apply(np.array([0.0, 1.0, 2.0]))
    assert calibrated[0] == 0 and calibrated[1] > 0 and calibrated[2] > calibrated[1]


def test_plain_form_comes_back():
    calibration = Calibration('log-logistic', 0.25, 1.5)
    assert Calibration.from_dict(calibration.to_dict()) == calibration


@pytest.mark.parametrize('arguments', [('quadratic', 1.0), ('linear', 0.0), ('linear', float('nan')),
                                       ('log-logistic', 1.0, -1.0)])
def test_impossible_curves_are_refused(arguments):
    with pytest.raises(ValueError, match='must be'):
        Calibration(*arguments)
