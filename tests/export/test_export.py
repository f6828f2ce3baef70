"""Exported files compute what the checkpoint does, in other programs, for batches of any size."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.utils import check_random_state

import hilmix
from hilmix import MLP, AnnotatedClassifier, Classifier, CrossFitClassifier, Predictor, TimmBackbone
from hilmix.cli import main
from hilmix.errors import ConfigError, RunError
from hilmix.export import export_model
from hilmix.export.formats import FORMATS
from hilmix.methods import list_methods
from hilmix.modules import CrowdModel
from hilmix.predictor import Calibration
from hilmix.trusted import find_class
from tests.helpers import vector_data

timm = pytest.importorskip("timm")
onnxruntime = pytest.importorskip("onnxruntime")
CLASSES, ANNOTATORS = ("cat", "dog", "猫"), ("ann", "bob")
VECTORS, SMALL, LARGE = [4], [3, 16, 16], [3, 48, 40]


def predictor_of(model: CrowdModel | CrossFitClassifier, temperature: float = 0.5) -> Predictor:
    """An untrained model with batch norm that has seen something, whose inputs are scaled."""
    g = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.running_mean.copy_(torch.randn(module.running_mean.shape, generator=g) * 0.1)
            module.running_var.copy_(torch.rand(module.running_var.shape, generator=g) + 0.5)
        if isinstance(module, CrowdModel):
            module.input_mean.fill_(0.4)
            module.input_std.fill_(0.3)
    return Predictor(model.eval(), CLASSES, ANNOTATORS, calibration=Calibration(temperature), device="cpu")


def network(shape: list[int], kind: str = "mlp") -> Classifier:
    torch.manual_seed(1)
    backbone = {"mlp": MLP([8], norm="batch"), "resnet": TimmBackbone("test_resnet"), "vit": TimmBackbone("test_vit")}
    return Classifier(3, 2, shape, backbone=backbone[kind], lr=0.01)


def inputs(shape: list[int], rows: int) -> np.ndarray:
    rng = check_random_state(rows)
    return rng.randint(0, 256, (rows, *shape)).astype(np.uint8) if len(shape) == 3 else rng.randn(rows, *shape)


@pytest.mark.parametrize(("shape", "kind"), [(VECTORS, "mlp"), (SMALL, "mlp"), (SMALL, "resnet"), (LARGE, "resnet")])
def test_onnx_in_onnxruntime(shape: list[int], kind: str, tmp_path: Path) -> None:
    predictor = predictor_of(network(shape, kind))
    assert export_model(predictor, tmp_path / "model.onnx", "onnx") <= 1e-5
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    for rows in (1, 2, 7):
        x = inputs(shape, rows)
        x = x if len(shape) == 3 else x.astype(np.float32)
        (found,) = session.run(None, {"input": x})
        expected = predictor.predict_proba(torch.from_numpy(x) if len(shape) == 3 else x)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    card = session.get_modelmeta().custom_metadata_map
    assert json.loads(card["classes"]) == list(CLASSES)
    assert json.loads(card["temperature"]) == 0.5
    assert list(tmp_path.iterdir()) == [tmp_path / "model.onnx"], "one file, weights inside"


@pytest.mark.parametrize(("shape", "kind"), [(VECTORS, "mlp"), (SMALL, "resnet")])
def test_torch_export(shape: list[int], kind: str, tmp_path: Path) -> None:
    predictor = predictor_of(network(shape, kind))
    export_model(predictor, tmp_path / "model.pt2", "torch-export")
    card = {"hilmix.json": ""}
    program = torch.export.load(str(tmp_path / "model.pt2"), extra_files=card).module()
    for rows in (1, 6):
        x = torch.from_numpy(inputs(shape, rows))
        x = x if len(shape) == 3 else x.float()
        np.testing.assert_allclose(program(x).detach(), predictor.predict_proba(x), atol=1e-5)
    assert json.loads(card["hilmix.json"])["classes"] == list(CLASSES)


@pytest.mark.parametrize("kind", ["resnet", "vit"])
def test_a_folder_that_timm_opens(kind: str, tmp_path: Path) -> None:
    shape = LARGE if kind == "resnet" else [3, 160, 160]
    predictor = predictor_of(network(shape, kind))
    export_model(predictor, tmp_path / "model", "timm")
    model = timm.create_model(f"local-dir:{tmp_path / 'model'}", pretrained=True).eval()
    config = timm.data.resolve_data_config({}, model=model)
    assert config["input_size"] == tuple(shape)
    x = torch.from_numpy(inputs(shape, 3))
    mean, std = (torch.tensor(config[name])[:, None, None] for name in ("mean", "std"))
    found = model((x / 255 - mean) / std).softmax(-1).detach()
    np.testing.assert_allclose(found, predictor.predict_proba(x), atol=1e-5)
    assert model.pretrained_cfg["label_names"] == list(CLASSES)


def test_a_small_vit_goes_to_timm_too(tmp_path: Path) -> None:
    """Its patches are an argument of timm; the stem of a small ResNet is none."""
    export_model(predictor_of(network([3, 32, 32], "vit")), tmp_path / "vit", "timm")
    for model in (network(SMALL, "resnet"), network(VECTORS)):
        with pytest.raises(ConfigError, match="onnx"):
            export_model(predictor_of(model), tmp_path / "other", "timm")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["vit"]


@pytest.mark.parametrize("method", [method.name for method in list_methods()])
def test_every_method_in_safetensors(method: str, tmp_path: Path) -> None:
    """With its annotators: posteriors are those of the model, too."""
    settings = next(m for m in list_methods() if m.name == method).settings.get("model", {})
    torch.manual_seed(2)
    kind = find_class(settings.get("class_path", "hilmix.modules.Classifier"), Classifier)
    model = kind(3, 2, VECTORS, **settings.get("init_args", {}))
    predictor, x = predictor_of(model), inputs(VECTORS, 5)
    export_model(predictor, tmp_path / "model.safetensors", "safetensors")
    loaded = hilmix.load(tmp_path / "model.safetensors", device="cpu")
    np.testing.assert_allclose(loaded.predict_proba(x), predictor.predict_proba(x), atol=1e-6)
    np.testing.assert_allclose(predictor.predict_proba(x), cooled(model, x), atol=1e-6)
    assert (loaded.classes, loaded.annotators, loaded.temperature) == (CLASSES, ANNOTATORS, 0.5)
    if predictor.models_annotators:
        votes = [{"ann": "cat", "bob": "dog"}] * 5
        np.testing.assert_allclose(loaded.posterior(x, votes), predictor.posterior(x, votes), atol=1e-6)


def cooled(model: Classifier, x: np.ndarray) -> np.ndarray:
    probs = model.predict_proba(torch.from_numpy(x).float()).double() ** 2  # the temperature is one half
    return (probs / probs.sum(1, keepdim=True)).numpy()


@pytest.mark.parametrize("format", ["torch-export", "safetensors"])
def test_networks_of_folds_are_averaged(format: str, tmp_path: Path) -> None:
    model = CrossFitClassifier.from_classifier(network(VECTORS), folds=3)
    predictor = predictor_of(model)
    assert export_model(predictor, tmp_path / "model", format) <= 1e-5
    x = torch.from_numpy(inputs(VECTORS, 4)).float()
    mean = torch.stack([one(x).softmax(-1) for one in model.networks]).mean(0).double() ** 2
    expected = (mean / mean.sum(1, keepdim=True)).detach()
    np.testing.assert_allclose(predictor.predict_proba(x), expected, atol=1e-6)


def test_a_file_that_computes_something_else_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(predictor: Predictor, file: Path):
        file.write_text("x")
        return lambda x: predictor.predict_proba(x) + 1e-4

    monkeypatch.setitem(FORMATS, "onnx", wrong)
    with pytest.raises(RunError, match=r"0\.0001"):
        export_model(predictor_of(network(VECTORS)), tmp_path / "model.onnx", "onnx")
    assert not list(tmp_path.iterdir())


def test_what_is_no_exported_file(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    with pytest.raises(RunError, match=r"x\.safetensors"):
        hilmix.load(tmp_path / "x.safetensors")


def test_estimator_loader_and_onnx_agree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One model, three ways out: ``hilmix export`` as documented."""
    data = vector_data()
    x, votes = data.inputs.array, data.annotations
    run, file = tmp_path / "run", tmp_path / "mine.onnx"
    model = AnnotatedClassifier("hilmix", epochs=2, device="cpu", random_state=0, run_dir=run).fit(x, votes)
    assert main(["export", str(run), "--format", "onnx", "-o", str(file)]) == 0
    assert "verified" in capsys.readouterr().out
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (exported,) = session.run(None, {"input": x})
    np.testing.assert_allclose(hilmix.load(run).predict_proba(x), model.predict_proba(x), atol=1e-5)
    np.testing.assert_allclose(exported, model.predict_proba(x), atol=1e-5)
    assert main(["export", str(run), "--format", "onnx", "-o", str(file)]) == 2, "it is there already"
    assert main(["export", str(run), "--format", "onxx", "-o", "x"]) == 2
