"""Signatures of versions, against the command line of model-signing; and who refuses a version without a valid one."""

import base64
import json
import shutil
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tfrs_pretrain.cli import app
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.signing import SIGNATURE, Signer, check_signature

pytestmark = pytest.mark.tools


def call(*arguments, **environment):
    result = CliRunner().invoke(app, list(map(str, arguments)), env=environment)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def signed(with_two_deltas, keys):
    result = call("sign", with_two_deltas, "--key", keys()[0])
    assert result.output.count("model.sig") == 3
    return with_two_deltas


@pytest.fixture
def silent_server():
    """(address, function that returns how many connections arrived)."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)

        def arrived():
            try:
                server.accept()
            except BlockingIOError:
                return 0
            return 1

        yield f"127.0.0.1:{server.getsockname()[1]}", arrived


def test_model_signing_verifies_our_signature_and_we_verify_its_own(signed, keys, tool):
    private, public = keys()
    names = [json.loads(base64.b64decode(json.loads((folder / SIGNATURE).read_text())["dsseEnvelope"]["payload"]))
             ["subject"][0]["name"] for folder in (signed, signed.with_name("3.deltas") / "000002")]
    assert names == ["ranker/3", "ranker/3.deltas/000002"]
    tool("model_signing", "verify", "key", signed, "--signature", signed / SIGNATURE, "--public_key", public)
    other = shutil.copytree(signed, signed.with_name("theirs") / "3")
    (other / SIGNATURE).unlink()
    tool("model_signing", "sign", "key", other, "--signature", other / SIGNATURE, "--private_key", private)
    check_signature(other, public)


def forge(folder):
    """Lets the signed list of files say what the folder contains now; the signature stays."""
    content = json.loads((folder / SIGNATURE).read_text())
    payload = base64.b64decode(content["dsseEnvelope"]["payload"]).replace(b"ranker/3", b"ranker/4")
    content["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    (folder / SIGNATURE).write_text(json.dumps(content))


@pytest.mark.parametrize(("damage", "message"), [
    (lambda folder: (folder / SIGNATURE).unlink(), "is not signed"),
    (lambda folder: (folder / SIGNATURE).write_text("{}"), "is no readable signature"),
    (lambda folder: (folder / "saved_model.pb").write_bytes(b"grapf"), "Hash mismatch for 'saved_model.pb'"),
    (lambda folder: (folder / "more").write_bytes(b""), "Extra files found in model '3': more"),
    (lambda folder: (folder / ".gitignore").write_bytes(b""), "Extra files found in model '3': .gitignore"),
    (lambda folder: (folder / "saved_model.pb").unlink(), "Missing files in model '3': saved_model.pb"),
    (lambda folder: (folder / "link").symlink_to("saved_model.pb"), "symlink"),
    (forge, "differs from what was signed"),
])
def test_what_differs_is_named(signed, keys, damage, message):
    damage(signed)
    with pytest.raises(UserError, match=message) as refused:
        check_signature(signed, keys()[1])
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("command", [
    "push {server} --version {version} --secret {secret}", "verify-server {server} --model {version}",
    "promote {version} --gate {gate} --first --label stable --models-config {config} --server {server}",
    "roll-back ranker --models-config {config} --server {server}"])
@pytest.mark.parametrize("fault", ["missing", "foreign", "changed"])
def test_every_command_refuses_before_it_sends_anything(signed, keys, command, fault, silent_server, tmp_path):
    secret, gate, config = tmp_path / "secret", tmp_path / "gate.yaml", tmp_path / "models.config"
    secret.write_text("0" * 64)
    gate.write_text("thresholds: {auc: {min: 0.5}}\n")
    config.write_text(f'model_config_list {{ config {{ name: "ranker" base_path: "{signed.parent}" '
                      'model_platform: "tensorflow" version_labels { key: "stable" value: 4 } '
                      'version_labels { key: "stable_previous" value: 3 } } }\n')
    before, (address, arrived) = config.read_text(), silent_server
    if fault == "missing":
        (signed / SIGNATURE).unlink()
    elif fault == "changed":
        (signed / "saved_model.pb").write_bytes(b"other")
    key = keys("foreign" if fault == "foreign" else "release")[1]
    words = command.format(server=address, version=signed, secret=secret, gate=gate, config=config).split()
    with pytest.raises(UserError) as refused:
        call(*words, TFRS_PRETRAIN_PUBLIC_KEY=str(key))
    expected = {"missing": "is not signed", "foreign": "is signed with another key", "changed": "differs from what was"}
    assert expected[fault] in str(refused.value)
    assert str(signed) in str(refused.value)
    assert arrived() == 0
    assert config.read_text() == before


@pytest.mark.parametrize("command", ["push {server} --version {version} --secret s",
                                     "verify-server {server} --model {version}"])
def test_a_delta_without_signature_is_refused(signed, keys, command, silent_server):
    address, arrived = silent_server
    (signed.with_name("3.deltas") / "000002" / SIGNATURE).unlink()
    with pytest.raises(UserError, match=r"3.deltas/000002' is not signed"):
        call(*command.format(server=address, version=signed).split(), "--public-key", keys()[1])
    assert arrived() == 0


def test_an_unsigned_version_passes_where_no_key_is_named(with_two_deltas, silent_server, tmp_path):
    (tmp_path / "s").write_text("0" * 64)
    with pytest.raises(UserError, match="the secret is not that of version"):
        call("push", silent_server[0], "--version", with_two_deltas, "--secret", tmp_path / "s")


def test_a_key_of_another_kind_is_refused(keys, tmp_path, tool):
    private = tmp_path / "ed25519.key"
    tool("openssl", "genpkey", "-algorithm", "ed25519", "-out", private)
    with pytest.raises(UserError, match="of kind Ed25519PublicKey, expected the curve P-256, P-384 or P-521: create"):
        Signer(private)
    with pytest.raises(UserError, match="is not the PEM file of a private key"):
        Signer(keys()[1])
    with pytest.raises(UserError, match=r"is not the PEM file of a public key"):
        check_signature(tmp_path, keys()[0])


def test_a_published_version_is_signed_when_it_appears(version, keys, tmp_path, monkeypatch):
    from literal_report import literal_report

    from tfrs_pretrain.serving.exporting import export

    was_signed, rename = [], Path.rename
    monkeypatch.setattr(Path, "rename", lambda path, target: was_signed.append((path / SIGNATURE).exists())
                        or rename(path, target))
    stage = shutil.copytree(version, tmp_path / "models" / ".version.unfinished-1")
    signer = Signer(keys()[0])
    target = export.publish(stage, version.parent, literal_report(), lambda folder, number: None, "digest", signer)
    assert target.name == "4"
    assert was_signed[-1]
    check_signature(target, keys()[1])
    (target / SIGNATURE).unlink()
    assert export.finished_version(version.parent, "digest", signer).path == target
    check_signature(target, keys()[1])


def test_a_forgotten_id_costs_the_signature_or_renews_it(tiny_dataset, keys, tmp_path, monkeypatch):
    """With a signed dataset, which changes in the same way as a version and takes no training."""
    monkeypatch.chdir(tmp_path)
    private, public = keys()
    (tmp_path / "ids.txt").write_text(f"{tiny_dataset.vocabulary('user').known_ids[3]}\n")
    for name, sign in (("kept", ("--sign", private)), ("lost", ())):
        folder = shutil.copytree(tiny_dataset.folder, tmp_path / name)
        Signer(private).sign(folder, "dataset")
        result = call("forget", folder, "--space", "user", "--ids", "ids.txt", *sign)
        is_told = "has changed and lost its signature: sign it again with" in " ".join(result.output.split())
        assert is_told == (not sign)
        assert (folder / SIGNATURE).exists() == bool(sign)
    check_signature(tmp_path / "kept", public)


def test_a_forged_folder_is_not_signed_again(tiny_dataset, keys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ids.txt").write_text("1\n")
    folder = shutil.copytree(tiny_dataset.folder, tmp_path / "dataset")
    Signer(keys("foreign")[0]).sign(folder, "dataset")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=r"is signed with another key .* than the public half of '.*release.key'"):
        call("forget", folder, "--space", "user", "--ids", "ids.txt", "--sign", keys()[0])
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
