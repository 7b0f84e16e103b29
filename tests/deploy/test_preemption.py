"""The generated commands of a step continue after SIGTERM, which a scheduler sends before it takes a machine away."""

import json
import signal

import pytest
import yaml
from planted import planted_config
from processes import finish, run_until, start
from typer.testing import CliRunner

from tfrs_pretrain.cli import app
from tfrs_pretrain.embeddings.artifact import Embeddings

PROGRAM = "from tfrs_pretrain.cli import main\nmain()\n"


@pytest.mark.slow
def test_a_step_that_is_stopped_continues_by_the_same_command(planted_logs, tmp_path):
    tree = planted_config()
    tree["pretraining"] |= {"epochs": 1}
    (tmp_path / "shop.yaml").write_text(yaml.safe_dump(tree))
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "place.yaml").write_text(yaml.safe_dump({
        "image": "example/image:1", "config": str(tmp_path / "shop.yaml"), "raw": str(planted_logs),
        "rounds": str(tmp_path / "rounds"), "models": str(tmp_path / "models")}))
    printed = CliRunner().invoke(app, ["deploy", "jobset", f"--config={tmp_path / 'shop.yaml'}",
                                       f"--deployment={tmp_path / 'place.yaml'}"])
    jobs = {job["name"]: job for job in yaml.safe_load(printed.stdout)["spec"]["replicatedJobs"]}
    dataset, pretrain = (jobs[name]["template"]["spec"]["template"]["spec"]["containers"][0]["args"]
                         for name in ("dataset", "pretrain"))
    assert CliRunner().invoke(app, dataset).exit_code == 0
    code, output = run_until(tmp_path / "program.py", signal.SIGTERM, "step", 5, *pretrain)
    assert code == 143, output[-2000:]
    assert "stopped by SIGTERM; run the same command to resume" in " ".join(output.split())
    [folder] = (tmp_path / "rounds").iterdir()
    assert not (folder / "embeddings").exists()
    [output] = finish(start([tmp_path / "program.py", *pretrain]))
    assert "resuming from checkpoint" in " ".join(output.split())
    assert Embeddings.open(folder / "embeddings").matrix("item").any()
    assert json.loads((folder / "embeddings" / "manifest.json").read_text())["kept_epoch"] == 1
