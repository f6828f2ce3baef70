"""A file names classes, and only those of hilmix, of a trusted package or of the user's own program are followed.

The stranger's modules write a file when they are imported: it must not be there.
"""

import ast
import json
import pickle
import shutil
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import hilmix
from hilmix.annotations import Annotations
from hilmix.annotators import AnnotatorModel
from hilmix.backbones import MLP, Backbone
from hilmix.checkpoint import AtomicCheckpointIO
from hilmix.cli import main
from hilmix.data import AnnotatedData, AnnotatedDataModule, ArrayInputs, write_folder
from hilmix.data.targets import Targets
from hilmix.errors import ConfigError, HilmixError
from hilmix.explanations import Explanation
from hilmix.group_dro import GroupDRO
from hilmix.human.perception import Perception
from hilmix.mix import MixPolicy
from hilmix.modules import Classifier
from hilmix.regularizers import Regularizer
from hilmix.trusted import check_class_paths, find_class, trust

pytestmark = pytest.mark.usefixtures("no_figures")

BASES = [AnnotatorModel, Backbone, Explanation, GroupDRO, MixPolicy, Perception, Regularizer, Targets]
STRANGER = """
from pathlib import Path
import torch
import hilmix.backbones, hilmix.mix, hilmix.human.perception
Path({mark!r}).touch()
class Net(hilmix.backbones.MLP):
    pass
class Mix(hilmix.mix.NoMix):
    pass
class Curve(hilmix.human.perception.GlobalCurve):
    pass
class Plain(hilmix.modules.Classifier):
    pass
"""


@pytest.fixture(autouse=True)
def _nothing_is_trusted_afterwards(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("hilmix.trusted._packages", {"hilmix"})


@pytest.fixture
def mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Modules of strangers on the path; returns the file that is there once one of them was imported."""
    mark = tmp_path / "imported"
    for name in ("mine", "mine_too", "hilmix_evil", "hilmixevil"):
        (tmp_path / f"{name}.py").write_text("import hilmix.modules\n" + STRANGER.format(mark=str(mark)))
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "pack").mkdir()
    for name in ("__init__", "part", "other"):
        text = "" if name == "__init__" else "import hilmix.modules\n" + STRANGER.format(mark=str(mark))
        (tmp_path / "pack" / f"{name}.py").write_text(text)
    for name in ("pack", "pack.part", "pack.other"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    yield mark
    for name in ("mine", "mine_too", "hilmix_evil", "hilmixevil", "pack", "pack.part", "pack.other"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize(
    "path", ["mine.Net", "mine.Mix", "mine.Curve", "hilmix_evil.Net", "hilmixevil.Net", "pack.part.Net", "mine.Nothing"]
)
def test_a_stranger_is_not_imported_by_any_part(mark, base, path):
    with pytest.raises(ConfigError) as refused:
        base.from_spec({"class_path": path, "init_args": {}})
    assert not mark.exists()
    assert f"'{path}'" in str(refused.value)
    assert f"trust('{path.split('.')[0]}')" in str(refused.value)


@pytest.mark.parametrize(
    "path",
    [
        "os.system",
        "builtins.exec",
        "subprocess.Popen",
        "hilmix.parts.importlib.import_module",
        "hilmix.parts.math",
        "hilmix.trusted.importlib.util.find_spec",
        "hilmix.backbones.nn.Linear",
        "hilmix.backbones.MLP.build",
        "hilmix.annotators.Perfect",
        "hilmix.parts.Part",
        "hilmix.nothing.Here",
        "hilmix..mix.NoMix",
        ".mix.NoMix",
        "MLP",
        "",
        "hilmix.mix.",
        "hilmix.mix.No Mix",
        "hilmix.mix.NoMix()",
        "../mix.NoMix",
        None,
        3,
        ["hilmix.mix.NoMix"],
    ],
)
def test_only_classes_of_the_kind_wanted(path):
    with pytest.raises(ConfigError):
        Backbone.from_spec({"class_path": path})


def test_to_name_the_start_of_hilmix_does_not_run_it(monkeypatch):
    monkeypatch.delitem(sys.modules, "hilmix.__main__", raising=False)
    with pytest.raises(ConfigError):
        Backbone.from_spec({"class_path": "hilmix.__main__.Net"})


def test_a_module_that_loads_on_demand_loads_nothing(monkeypatch):
    """A module-level __getattr__ is code that runs on a name from outside."""
    import types

    lazy = types.ModuleType("lazy")
    lazy.__getattr__ = lambda name: pytest.fail(f"asked for {name}")
    monkeypatch.setitem(sys.modules, "lazy", lazy)
    with pytest.raises(ConfigError, match=r"trust\('lazy'\)"):
        Backbone.from_spec({"class_path": "lazy.Net"})


@pytest.mark.parametrize(
    ("named", "path", "works"),
    [
        ("mine", "mine.Net", True),
        ("mine", "mine_too.Net", False),
        ("min", "mine.Net", False),
        ("pack", "pack.part.Net", True),
        ("pack.part", "pack.part.Net", True),
        ("pack.part", "pack.other.Net", False),
        ("pack.par", "pack.part.Net", False),
        ("mine", "mine.Mix", False),
    ],
)
def test_trust_reaches_a_package_and_what_is_in_it(mark, named, path, works):
    hilmix.trust(named)
    spec = {"class_path": path, "init_args": {"hidden": [8]}}
    if works:
        assert type(Backbone.from_spec(spec)).__module__ == path.rpartition(".")[0]
    else:
        with pytest.raises(ConfigError):
            Backbone.from_spec(spec)
        assert path == "mine.Mix" or not mark.exists()  # imported, but of another kind


@pytest.mark.parametrize("name", ["", "a b", "mine.", ".mine", "mine-too", "a/b", None, 3])
def test_trust_takes_names_of_packages(name):
    with pytest.raises(ConfigError):
        trust(name)


def test_what_the_program_has_imported_is_its_own(mark):
    import mine  # the module that the fixture has written

    mark.unlink()
    assert isinstance(Backbone.from_spec({"class_path": "mine.Net", "init_args": {"hidden": [8]}}), mine.Net)
    assert find_class("mine.Curve", Perception) is mine.Curve


def test_hyperparameters_are_walked(mark):
    for path in ("mine.Net", "builtins_of_none.x"):
        for value in ({"a": [{"b": {"class_path": path}}]}, {"class_path": path}, {"_instantiator": path}):
            with pytest.raises(ConfigError, match=rf"here\.ckpt: .*{path}"):
                check_class_paths(value, where="here.ckpt")
    rebuilt = {"_instantiator": "lightning.pytorch.cli.instantiate_module", "file": "a.csv", "net": "resnet18.a1_in1k"}
    check_class_paths({**rebuilt, "optimizer": {"class_path": "torch.optim.Adam"}}, where="here.ckpt")
    with pytest.raises(ConfigError, match=r"mine\.Net"):
        check_class_paths({**rebuilt, "part": "mine.Net"}, where="here.ckpt")
    assert not mark.exists()


# -- by the command line ---------------------------------------------------------------------------------------------

QUICK = [
    "--trainer.max_epochs",
    "1",
    "--trainer.enable_progress_bar",
    "false",
    "--trainer.enable_model_summary",
    "false",
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    n = 24
    truth = np.arange(n) % 2
    found = AnnotatedData(
        name="toy",
        items=tuple(f"i{i}" for i in range(n)),
        inputs=ArrayInputs(rng.normal(size=(n, 3)).astype(np.float32), "vector"),
        annotations=Annotations.build(
            np.arange(n), np.arange(n) % 3, truth, num_items=n, classes=["x", "y"], annotators=("a", "b", "c")
        ),
        target=truth,
        split=np.array(["train"] * 12 + ["val"] * 6 + ["test"] * 6),
    )
    return write_folder(found, tmp_path_factory.mktemp("data") / "toy")


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "trained"
    network = ("--model.backbone", "MLP")  # with its own defaults, as the class Net of `mine` has them
    given = ("-c", "configs/method/mv.yaml", "--data.root", str(data), "--run_dir", str(run), *QUICK, *network)
    assert main(["fit", *given]) == 0
    return run


def with_backbone(trained: Path, file: Path, spec: dict) -> Path:
    """A copy of the checkpoint whose backbone is another class; the weights fit it."""
    checkpoint = torch.load(trained / "checkpoints" / "last.ckpt", weights_only=True)
    checkpoint["hyper_parameters"]["backbone"] = spec
    torch.save(checkpoint, file)
    return file


def run(command: str, data: Path, folder: Path, *more: str | Path) -> int:
    shared = ("-c", "configs/method/mv.yaml", "--data.root", data, "--run_dir", folder, *QUICK[2:4])
    return main([str(a) for a in (command, *shared, *more)])


@pytest.mark.parametrize("command", ["test", "validate", "predict"])
def test_a_checkpoint_of_a_stranger(command, mark, trained, data, tmp_path, capsys):
    file = with_backbone(trained, tmp_path / "evil.ckpt", {"class_path": "mine.Net", "init_args": {}})
    assert run(command, data, tmp_path / "run", "--ckpt_path", file) == 2
    message = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(message) == 1
    assert "'mine.Net'" in message[0]
    assert "--trust mine." in message[0]
    assert not mark.exists()


@pytest.mark.parametrize(("path", "named"), [("mine.Net", "--trust mine."), ("os.system", "os.system")])
def test_settings_of_the_data_in_a_checkpoint_of_a_stranger(path, named, mark, trained, tmp_path, capsys):
    """Outside its run folder a checkpoint says itself which data it was trained on."""
    checkpoint = torch.load(trained / "checkpoints" / "last.ckpt", weights_only=True)
    checkpoint["datamodule_hyper_parameters"]["mix"] = {"class_path": path, "init_args": {}}
    torch.save(checkpoint, tmp_path / "evil.ckpt")
    assert main(["test", "--run_dir", str(tmp_path / "run"), "--ckpt_path", str(tmp_path / "evil.ckpt")]) == 2
    message = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(message) == 1
    assert named in message[0]
    assert not mark.exists()


@pytest.mark.parametrize("more", [["--trust", "mine"], ["--trust=mine"], ["--trust", "[other, mine]"]])
def test_a_checkpoint_of_a_trusted_package(more, mark, trained, data, tmp_path):
    file = with_backbone(trained, tmp_path / "known.ckpt", {"class_path": "mine.Net", "init_args": {}})
    assert run("test", data, tmp_path / "run", "--ckpt_path", file, *more) == 0
    assert mark.exists()


def test_an_own_part_named_by_the_config_trains_is_tested_and_resumed(mark, data, tmp_path):
    config = tmp_path / "own.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "model": {"init_args": {"backbone": {"class_path": "mine.Net", "init_args": {"hidden": [16]}}}},
                "data": {"init_args": {"mix": {"class_path": "mine.Mix"}}},
            }
        )
    )
    folder, own = tmp_path / "run", ("-c", str(config))
    assert run("fit", data, folder, *own, *QUICK[:2]) == 0
    for again in (own, ("-c", str(folder / "config.yaml"))):
        for name in ("mine", "mine_too"):
            sys.modules.pop(name, None)
        assert run("test", data, folder, *again, "--ckpt_path", "last") == 0
    sys.modules.pop("mine", None)
    assert run("fit", data, folder, *own, "--trainer.max_epochs", "2", "--ckpt_path", "last") == 0
    # by the packaged config alone nothing names the package
    sys.modules.pop("mine", None)
    mark.unlink()
    assert run("test", data, folder, "--ckpt_path", "last") == 2
    assert not mark.exists()
    assert run("test", data, folder, "--ckpt_path", "last", "--trust", "mine") == 0


def test_the_class_of_a_checkpoint_is_imported_if_it_is_trusted(mark, data, tmp_path, capsys):
    """Outside its run folder a checkpoint says itself which class its module is."""
    folder, file = tmp_path / "run", tmp_path / "alone.ckpt"
    assert run("fit", data, folder, "--model", "mine.Plain", *QUICK[:2]) == 0
    shutil.copyfile(folder / "checkpoints" / "last.ckpt", file)
    sys.modules.pop("mine", None)
    mark.unlink()
    assert run("test", data, tmp_path / "again", "--ckpt_path", file) == 2
    message = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(message) == 1
    assert "'mine.Plain'" in message[0]
    assert "--trust mine." in message[0]
    assert not mark.exists()
    assert run("test", data, tmp_path / "again", "--ckpt_path", file, "--trust", "mine") == 0
    assert mark.exists()


def test_a_resumed_run_takes_no_class_of_a_stranger_for_its_default(mark, trained, data, tmp_path, capsys):
    """The config leaves the backbone to hilmix, which goes on with that of the checkpoint."""
    file = with_backbone(trained, tmp_path / "evil.ckpt", {"class_path": "mine.Net", "init_args": {}})
    assert run("fit", data, tmp_path / "run", "--ckpt_path", file) == 2
    assert "--trust mine." in capsys.readouterr().err
    assert not mark.exists()


def test_a_package_named_in_the_config_is_trusted(mark, trained, data, tmp_path):
    file = with_backbone(trained, tmp_path / "known.ckpt", {"class_path": "mine.Net", "init_args": {}})
    (tmp_path / "trust.yaml").write_text("trust: mine\n")
    assert run("test", data, tmp_path / "run", "-c", tmp_path / "trust.yaml", "--ckpt_path", file) == 0


def test_python_loads_a_checkpoint_in_the_same_way(mark, trained, tmp_path):
    file = with_backbone(trained, tmp_path / "evil.ckpt", {"class_path": "mine.Net", "init_args": {}})
    with pytest.raises(ConfigError, match=r"hilmix\.trust\('mine'\)"):
        Classifier.load_from_checkpoint(file)
    assert not mark.exists()
    hilmix.trust("mine")
    assert isinstance(Classifier.load_from_checkpoint(file).backbone, MLP)


def test_a_checkpoint_that_names_another_way_to_be_built(mark, trained, data, tmp_path):
    checkpoint = torch.load(trained / "checkpoints" / "last.ckpt", weights_only=True)
    for added in ({"_instantiator": "mine.Net"}, {"_class_path": "mine.Plain"}):
        torch.save({**checkpoint, "hyper_parameters": {**checkpoint["hyper_parameters"], **added}}, tmp_path / "x.ckpt")
        assert run("test", data, tmp_path / "run", "--ckpt_path", tmp_path / "x.ckpt") == 2
        with pytest.raises(HilmixError):
            Classifier.load_from_checkpoint(tmp_path / "x.ckpt")
    assert not mark.exists()


def test_a_data_module_is_rebuilt_by_the_same_rule(mark, trained, tmp_path):
    checkpoint = torch.load(trained / "checkpoints" / "last.ckpt", weights_only=True)
    checkpoint["datamodule_hyper_parameters"]["mix"] = {"class_path": "mine.Mix", "init_args": {}}
    torch.save(checkpoint, tmp_path / "x.ckpt")
    with pytest.raises(ConfigError, match=r"trust\('mine'\)"):
        AnnotatedDataModule.load_from_checkpoint(tmp_path / "x.ckpt")
    assert not mark.exists()


# -- saved policies --------------------------------------------------------------------------------------------------


def policy(file: Path, spec: dict) -> Path:
    hilmix.human.perception.GlobalCurve().save(file)
    file.write_text(json.dumps({**json.loads(file.read_text()), **spec}))
    return file


def test_a_policy_of_a_stranger(mark, tmp_path):
    file = policy(tmp_path / "p.json", {"class_path": "mine.Curve", "init_args": {}})
    for load in (Perception.load, hilmix.human.perception.SavedPerception):
        with pytest.raises(ConfigError, match=r"'mine\.Curve'.*trust\('mine'\)"):
            load(str(file))
    assert not mark.exists()
    trust("mine")
    assert type(Perception.load(file)).__module__ == "mine"


def test_a_policy_inside_a_policy_of_a_stranger(mark, tmp_path):
    inside = {"class_path": "mine.Curve", "init_args": {}}
    file = policy(
        tmp_path / "p.json",
        {"class_path": "hilmix.human.perception.UniformSmoothing", "init_args": {"policy": inside, "share": 0.1}},
    )
    with pytest.raises(ConfigError, match=r"trust\('mine'\)"):
        Perception.load(file)
    assert not mark.exists()


def test_a_policy_nested_without_end(tmp_path):
    file = tmp_path / "p.json"
    file.write_text("[" * 100_000)
    with pytest.raises(HilmixError, match=r"p\.json"):
        Perception.load(file)


@pytest.mark.parametrize("options", [[], ["--trust", "other"], ["--trust", "mine"]])
def test_the_option_of_hmix_mixes(mark, options, tmp_path, monkeypatch, capsys):
    """The option is parsed before anything is read; what follows is the policy's own test."""
    file = policy(tmp_path / "p.json", {"class_path": "mine.Curve", "init_args": {}})
    monkeypatch.setattr(
        "hilmix.commands.hmix_mixes.read_inferences", lambda args, _: Perception.load(args.policy) and sys.exit(0)
    )
    argv = ["hmix", "mixes", str(tmp_path), "--data", "d", "--policy", str(file), "-o", str(tmp_path / "out"), *options]
    if options[1:] == ["mine"]:
        with pytest.raises(SystemExit) as end:
            main(argv)
        assert end.value.code == 0
    else:
        assert main(argv) == 2
        assert "--trust mine." in capsys.readouterr().err
        assert not mark.exists()


# -- pickles ---------------------------------------------------------------------------------------------------------


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("folder", ["plain", "https", "http:"])
@pytest.mark.parametrize("command", ["test", "predict", "fit"])
def test_code_in_a_checkpoint_is_not_run(folder, command, trained, data, tmp_path, monkeypatch, capsys):
    """Nor from a folder that Lightning would take for an address, whose files it loads with all they bring."""
    monkeypatch.chdir(tmp_path)
    mark, file = tmp_path / "mark", Path(folder) / "x.ckpt"
    file.parent.mkdir()
    checkpoint = torch.load(trained / "checkpoints" / "last.ckpt", weights_only=True)
    torch.save({**checkpoint, "more": Evil(mark)}, file)
    assert run(command, data, tmp_path / "run", "--ckpt_path", file) == 2
    output = capsys.readouterr().err
    assert str(file) in output
    assert "weights_only" not in output
    assert not mark.exists()


def test_code_in_a_checkpoint_is_not_run_by_python(trained, tmp_path):
    mark, file = tmp_path / "mark", tmp_path / "x.ckpt"
    checkpoint = torch.load(trained / "checkpoints" / "last.ckpt", weights_only=True)
    torch.save({**checkpoint, "more": Evil(mark)}, file)
    for load in (Classifier.load_from_checkpoint, AtomicCheckpointIO().load_checkpoint):
        for more in ({}, {"weights_only": False}):
            with pytest.raises((pickle.UnpicklingError, HilmixError)):
                load(str(file), **more)
    assert not mark.exists()


@cache
def all_calls() -> list[tuple[str, Path, ast.Call]]:
    """Every call in the package, the studies and the benchmarks: what is called, its file, and the call."""
    package = Path(hilmix.__file__).parent
    files = [f for n in (package.name, "experiments", "benchmarks") for f in sorted((package.parent / n).rglob("*.py"))]
    return [
        (ast.unparse(node.func), file, node)
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
    ]


def calls(name: str) -> list[tuple[Path, ast.Call]]:
    """Calls of ``torch.load``, ``np.load`` and the like, with their file."""
    return [(file, node) for called, file, node in all_calls() if called == name]


def keywords(call: ast.Call) -> dict[str, object]:
    return {k.arg: ast.literal_eval(k.value) for k in call.keywords if k.arg in ("weights_only", "allow_pickle")}


def test_all_files_are_read_as_plain_values():
    assert len(calls("torch.load")) >= 3
    assert all(keywords(call) == {"weights_only": True} for _, call in calls("torch.load"))
    assert len(calls("np.load")) >= 8
    assert all(keywords(call) in ({}, {"allow_pickle": False}) for _, call in calls("np.load"))
    for name in (
        "pickle.load",
        "pickle.loads",
        "pd.read_pickle",
        "yaml.load",
        "yaml.unsafe_load",
        "yaml.full_load",
        "eval",
        "exec",
        "importlib.import_module",
    ):
        users = {file.name for file, _ in calls(name)}
        allowed = {
            "yaml.load": {"yaml_files.py"},
            # of names that stand in the code, or in the user's config
            "importlib.import_module": {
                "trusted.py",
                "__init__.py",
                "parser_errors.py",
                "default_callbacks.py",
                "run.py",  # of the benchmarks
            },
        }
        assert users <= allowed.get(name, set()), name


@pytest.mark.parametrize("command", [["fit"], ["validate"], ["test"], ["predict"], ["hmix", "mixes"]])
def test_the_commands_that_the_page_lists_have_the_option(command, capsys):
    page = (Path(__file__).parent.parent / "SECURITY.md").read_text()
    assert f"`{' '.join(command)}`" in page
    with pytest.raises(SystemExit):
        main([*command, "--help"])
    assert "--trust" in capsys.readouterr().out
