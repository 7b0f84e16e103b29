"""Generated malformed tables: each row is kept as written or rejected with a reason, or the file is refused."""

import pytest
from malformed_tables import CHANGES, Table, encode_jsonl, good_rows, malformed, write
from stage_trials import HELD, SILENT
from table_reading import job, judge, read


@pytest.mark.parametrize("form", CHANGES)
def test_malformed_tables(form, tmp_path, outcomes, campaign_size):
    kind, tried = f"malformed {form}", campaign_size(40, 1000)
    reading = job(tmp_path, form)
    for seed in range(tried):
        change, table = malformed(form, seed)
        write(table, tmp_path, form)
        verdict = judge(reading, table)
        if verdict.outcome == HELD:
            outcomes.held(kind)
        else:
            getattr(outcomes, verdict.outcome)(kind, f"seed {seed} ({change})", verdict.reason)
    outcomes.require_all_held(kind, tried=tried)


@pytest.mark.parametrize("form", CHANGES)
def test_good_tables_are_read_as_written(form, tmp_path):
    from malformed_tables import ENCODERS

    table = Table(ENCODERS[form](good_rows()), good_rows())
    write(table, tmp_path, form)
    account, kept = read(job(tmp_path, form))
    assert account.read == len(kept) == 40
    assert judge(job(tmp_path, form), table).outcome == HELD


def test_a_row_that_is_read_differently_counts_as_silent(tmp_path):
    rows = good_rows()
    other = [row | {"item": "other"} if number == 3 else row for number, row in enumerate(rows)]
    write(Table(encode_jsonl(other), None), tmp_path, "jsonl")
    assert judge(job(tmp_path, "jsonl"), Table(b"", rows)).outcome == SILENT


def test_a_row_that_is_lost_counts_as_silent(tmp_path):
    write(Table(encode_jsonl(good_rows()[1:]), None), tmp_path, "jsonl")
    assert judge(job(tmp_path, "jsonl"), Table(b"", good_rows())).outcome == SILENT
