"""Secrets stay out of all that a run writes, and what is left still runs."""

import os
import sys

import numpy as np
import pytest
import torch
import yaml

from hilmix.annotations import Annotations
from hilmix.checkpoint import AtomicCheckpointIO
from hilmix.cli import main
from hilmix.data import AnnotatedData, ArrayInputs, write_folder
from hilmix.lightning_cli.config_files import configs_folder
from hilmix.redaction import redacted

SECRET = "5ecr3t-value-0123456789abcdef"


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    for name in list(os.environ):
        if any(word in name.upper() for word in ("KEY", "TOKEN", "SECRET", "PASSWORD")):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    "name",
    [
        "api_key",
        "apiKey",
        "API_KEY",
        "api-key",
        "apikey",
        "wandb_api_key",
        "comet_key",
        "token",
        "api_token",
        "hf_token",
        "use_auth_token",
        "accessToken",
        "secret",
        "client_secret",
        "aws_secret_access_key",
        "AWS_SECRET_ACCESS_KEY",
        "password",
        "db_password",
        "passwd",
        "passphrase",
        "private_key",
        "Authorization",
        "credentials",
        "auth",
        "secrets",
        "api_key_2",
        "neptune.api_token",
    ],
)
@pytest.mark.parametrize("value", [SECRET, 12345678, [SECRET, SECRET], {"user": "me", "value": SECRET}])
def test_an_entry_whose_name_says_so_is_left_out(name, value):
    settings = {"logger": [{"class_path": "x.Logger", "init_args": {"project": "mine", name: value}}]}
    assert redacted(settings) == {"logger": [{"class_path": "x.Logger", "init_args": {"project": "mine"}}]}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("monitor", "val/loss"),
        ("class_token", True),
        ("mask_token", "[MASK]"),
        ("num_tokens", 12),
        ("tokenizer", "bpe"),
        ("image_key", "image"),
        ("key", "image"),
        ("sort_keys", False),
        ("global_pool", "token"),
        ("token", None),
        ("api_key", None),
        ("use_auth_token", False),
        ("author", "me"),
        ("secretary", "ann"),
        ("root", "data/token"),
        ("lr", 0.1),
        ("betas", [0.9, 0.999]),
        ("url", "https://example.org/a?b=c&d=e"),
        ("remote", "ssh://git@host/x.git"),
        ("revision", "5a02273f5a02273f5a02273f5a02273f5a02273f"),
        ("note", "a=b"),
        ("empty", ""),
        ("api_key", ""),
    ],
)
@pytest.mark.parametrize("by_reference", [True, False])
def test_what_is_no_secret_stays(name, value, by_reference):
    settings = {"a": {"init_args": {name: value}}, "b": [value]}
    assert redacted(settings, by_reference=by_reference) == settings


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (f"https://me:{SECRET}@example.org/x", "https://example.org/x"),
        (f"https://{SECRET}@github.com/x.git", "https://github.com/x.git"),
        (f"https://example.org/x?token={SECRET}&page=2", "https://example.org/x?token=&page=2"),
        (f"https://host/blob?sv=1&sig={SECRET}", "https://host/blob?sv=1&sig="),
        (f"--api-key={SECRET}", "api-key="),
        (f"password={SECRET};host=x", "password=;host=x"),
        (f"host=x;password={SECRET}", "host=x;password="),
    ],
)
def test_addresses_and_arguments_lose_their_secret_part(value, left):
    found = redacted({"uri": value})["uri"]
    assert SECRET not in found
    assert found.lstrip("-") == left


@pytest.mark.parametrize(
    "value",
    [
        "hf_" + "aB3" * 11,
        "ghp_" + "a1B2" * 9,
        "github_pat_" + "a1" * 20,
        "sk-" + "a1B2" * 10,
        "AKIA" + "ABCD2345" * 2,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
        "Bearer abcdefgh12345678",
        "glpat-" + "x1" * 10,
    ],
)
def test_tokens_that_their_issuers_mark(value):
    assert redacted({"header": value, "x": 1}) == {"x": 1}
    assert value.removeprefix("Bearer ") not in str(redacted({"note": f"use {value} here"}))


def test_values_of_the_environment_become_references_or_nothing(monkeypatch):
    monkeypatch.setenv("MY_SERVICE_TOKEN", SECRET)
    monkeypatch.setenv("PIN_PASSWORD", "1234")  # too short to be looked for
    settings = {"headers": ["x", SECRET], "uri": f"https://host/{SECRET}/y", "pin": "1234 items", "api_key": SECRET}
    assert redacted(settings) == {"headers": ["x"], "uri": "https://host//y", "pin": "1234 items"}
    whole = "${oc.env:MY_SERVICE_TOKEN,null}"
    assert redacted(settings, by_reference=True) == {
        "headers": ["x", whole],
        "uri": "https://host/${oc.env:MY_SERVICE_TOKEN,''}/y",
        "pin": "1234 items",
        "api_key": whole,
    }


def test_the_given_settings_are_not_changed():
    settings = {"a": [{"token": SECRET}]}
    redacted(settings)
    assert settings == {"a": [{"token": SECRET}]}


@pytest.mark.parametrize("file", sorted(configs_folder().rglob("*.yaml")), ids=lambda file: file.stem)
def test_packaged_configs_hold_none(file):
    settings = yaml.safe_load(file.read_text())
    assert redacted(settings, by_reference=True) == settings


def test_checkpoints_hold_none(tmp_path):
    state = {"w": torch.arange(3.0)}
    given = {
        "state_dict": state,
        "token": "a part of torch",
        "hyper_parameters": {"lr": 0.1, "api_key": SECRET},
        "datamodule_hyper_parameters": {"root": f"https://me:{SECRET}@host/x"},
    }
    AtomicCheckpointIO().save_checkpoint(given, tmp_path / "x.ckpt")
    saved = torch.load(tmp_path / "x.ckpt", weights_only=True)
    assert saved["hyper_parameters"] == {"lr": 0.1}
    assert saved["datamodule_hyper_parameters"] == {"root": "https://host/x"}
    assert saved["token"] == "a part of torch"
    assert torch.equal(saved["state_dict"]["w"], state["w"])
    assert given["hyper_parameters"]["api_key"] == SECRET


OWN = """
import os
from lightning.pytorch.loggers import CSVLogger
from hilmix.modules import Classifier

class Service(CSVLogger):
    def __init__(self, save_dir: str, api_key: str | None = None, uri: str = "", header: str | None = None) -> None:
        super().__init__(save_dir, "csv")
        seen.append((api_key, uri, header))

class Own(Classifier):
    def __init__(self, *args, hub_token: str | None = None, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.save_hyperparameters({"hub_token": hub_token})
        seen.append(hub_token)

seen = []
"""


@pytest.mark.usefixtures("blank_figures")
def test_a_run_writes_none_and_its_saved_config_runs(tmp_path, monkeypatch):
    """Every file of the run folder; then the saved config, with and without the variable."""
    rng = np.random.default_rng(0)
    truth = np.arange(12) % 2
    votes = Annotations.build(
        np.arange(12), np.zeros(12, int), truth, num_items=12, classes=["x", "y"], annotators=["a"]
    )
    inputs = ArrayInputs(rng.normal(size=(12, 3)).astype("f4"), "vector")
    data = AnnotatedData(
        "toy", tuple(map(str, range(12))), inputs, votes, truth, np.array(["train", "val", "test"] * 4)
    )
    write_folder(data, tmp_path / "toy")
    (tmp_path / "own_logger.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_logger", raising=False)
    other = "another-5ecr3t-0987654321"
    monkeypatch.setenv("SERVICE_TOKEN", SECRET)
    (tmp_path / "own.yaml").write_text(
        yaml.safe_dump(
            {
                "model": {"class_path": "own_logger.Own", "init_args": {"dict_kwargs": {}}},
                "trainer": {
                    "logger": [
                        {
                            "class_path": "own_logger.Service",
                            "init_args": {
                                "save_dir": "${run_dir}",
                                "api_key": other,
                                "uri": f"https://me:{other}@host/x",
                                "header": "${oc.env:SERVICE_TOKEN}",
                            },
                        }
                    ]
                },
            }
        ).replace("    dict_kwargs: {}\n", f"    hub_token: {other}\n")
    )
    quick = [
        "--trainer.max_epochs",
        "1",
        "--trainer.enable_progress_bar",
        "false",
        "--data.root",
        str(tmp_path / "toy"),
        "--trainer.enable_model_summary",
        "false",
    ]
    run = tmp_path / "run"
    assert (
        main(["fit", "-c", "configs/method/mv.yaml", "-c", str(tmp_path / "own.yaml"), "--run_dir", str(run), *quick])
        == 0
    )
    seen = sys.modules["own_logger"].seen
    assert (other, f"https://me:{other}@host/x", SECRET) in seen
    assert other in seen, "the parts themselves were given it"
    files = [file for file in run.rglob("*") if file.is_file()]
    assert any(file.name == "hparams.yaml" for file in files)
    holding = [file for file in files if any(word.encode() in file.read_bytes() for word in (SECRET, other))]
    assert holding == []
    for variable in (SECRET, None):
        seen.clear()
        if variable is None:
            monkeypatch.delenv("SERVICE_TOKEN")
        again = tmp_path / f"again-{variable is None}"
        assert main(["fit", "-c", str(run / "config.yaml"), "--run_dir", str(again), *quick]) == 0
        assert (None, "https://host/x", variable) in seen
    assert main(["test", "-c", str(run / "config.yaml"), "--run_dir", str(run), "--ckpt_path", "last"]) == 0
