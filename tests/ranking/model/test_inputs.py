import numpy as np

from tfrs_pretrain.data.dataset import NumericStatistics
from tfrs_pretrain.ranking.model.inputs import Inputs, normalized


def test_only_a_teacher_reads_privileged_features(planted, config):
    student = Inputs.of(planted.dataset, config.ranking, privileged=False)
    assert student.tables == {"user": "user", "item": "item", "place": "place"}
    assert student.numeric == {"price": NumericStatistics(3.0, 2.0)}
    assert student.columns == ("user", "item", "place", "price")
    teacher = Inputs.of(planted.dataset, config.ranking, privileged=True)
    assert list(teacher.tables) == ["user", "item", "place", "outcome"]
    assert list(teacher.numeric) == ["price", "dwell"]


def test_missing_numbers_become_the_mean_and_a_constant_feature_stays_finite():
    values = np.array([5.0, np.nan, 3.0, -1.0], np.float32)
    np.testing.assert_allclose(normalized(values, NumericStatistics(3.0, 2.0)), [1.0, 0.0, 0.0, -2.0])
    np.testing.assert_allclose(normalized(values, NumericStatistics(5.0, 0.0)), [0.0, 0.0, -2.0, -6.0])


def test_long_tails_are_normalised_on_a_logarithmic_scale():
    values = np.array([np.e - 1, 0.0, 1 - np.e, np.nan, np.e**3 - 1], np.float32)
    np.testing.assert_allclose(normalized(values, NumericStatistics(1.0, 2.0, log1p=True)),
                               [0.0, -0.5, -1.0, 0.0, 1.0], atol=1e-6)
