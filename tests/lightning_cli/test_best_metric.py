"""The metric that the best checkpoint is kept by where none is given."""

import pytest
from jsonargparse import Namespace

from hilmix.lightning_cli.config_files import configs_folder
from hilmix.lightning_cli.default_callbacks import add_default_callbacks
from hilmix.modules.stage_metrics import METRICS
from hilmix.yaml_files import load_yaml

DEFAULT = load_yaml((configs_folder() / "base.yaml").read_text())["best_metric"]
OWN = "lightning.pytorch.demos.boring_classes.BoringModel"


def test_hilmix_s_own_modules_log_it() -> None:
    assert DEFAULT.removeprefix("val/") in METRICS


@pytest.mark.parametrize(
    ("model", "given", "monitored"),
    [
        ("hilmix.modules.EMClassifier", DEFAULT, DEFAULT),
        ("hilmix.modules.Classifier", "val/acc", "val/acc"),
        (OWN, DEFAULT, "val/loss"),
        (OWN, "val/mine", "val/mine"),
    ],
)
def test_a_module_of_the_user_s_own_is_monitored_by_its_loss(model: str, given: str, monitored: str) -> None:
    best = Namespace(class_path="lightning.pytorch.callbacks.ModelCheckpoint", init_args=Namespace(monitor=given))
    other = Namespace(class_path="lightning.pytorch.callbacks.EarlyStopping", init_args=Namespace(monitor="val/nll"))
    settings = Namespace(
        best_metric=given,
        default_callbacks=False,
        model=Namespace(class_path=model),
        trainer=Namespace(callbacks=[best, other]),
    )
    add_default_callbacks(settings)
    assert settings.best_metric == monitored
    assert [one.init_args.monitor for one in settings.trainer.callbacks] == [monitored, "val/nll"]


def test_a_metric_that_the_user_chose_stays_though_it_is_the_default() -> None:
    settings = Namespace(
        best_metric=DEFAULT,
        default_callbacks=False,
        model=Namespace(class_path=OWN),
        trainer=Namespace(callbacks=[]),
    )
    add_default_callbacks(settings, metric_given=True)
    assert settings.best_metric == DEFAULT
