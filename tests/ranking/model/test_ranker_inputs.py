from tfrs_pretrain.features.ranker_input import NumericStatistics
from tfrs_pretrain.ranking.model.inputs import Inputs


def test_only_a_teacher_reads_privileged_features(planted, config):
    student = Inputs.of(planted.dataset, config.ranking, privileged=False)
    assert student.tables == {"user": "user", "item": "item", "place": "place"}
    assert student.numeric == {"price": NumericStatistics(3.0, 2.0)}
    assert student.columns == ("user", "item", "place", "price")
    teacher = Inputs.of(planted.dataset, config.ranking, privileged=True)
    assert list(teacher.tables) == ["user", "item", "place", "outcome"]
    assert list(teacher.numeric) == ["price", "dwell"]
