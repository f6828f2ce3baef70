"""``hilmix fit --help``: the settings that people change, with their defaults, and how to see all."""

from typing import NamedTuple


class Setting(NamedTuple):
    """A setting as the help shows it."""

    name: str
    default: str
    about: str


SETTINGS = (
    Setting("data.root", "digits-instance", "data folder, or embedded data"),
    Setting("run_dir", "runs/default", "folder of the run; runs/{date}-{method} fills both in"),
    Setting("overwrite", "false", "replace a run that is there"),
    Setting("ckpt_path", "null", "last: go on with the run of run_dir"),
    Setting("seed_everything", "0", "seed of the run"),
    Setting("trainer.max_epochs", "50", "passes over the training items"),
    Setting("trainer.devices", "auto", "number of devices; with --trainer.strategy ddp several"),
    Setting("trainer.precision", "null", "bf16-mixed or 16-mixed: half precision"),
    Setting("data.batch_size", "64", "items per step and device"),
    Setting("data.image_size", "null", "side in pixels that images are resized to"),
    Setting("data.augment", "none", "crop-flip or resized-crop-flip"),
    Setting("data.val_fraction", "null", "share of the training items to hold out"),
    Setting("data.num_workers", "null", "processes that fetch batches; null: by data and cores"),
    Setting("model.backbone", "null", "TimmBackbone, MLP or ReadyFeatures; null: by the kind of input"),
    Setting("model.backbone.name", "resnet10t", "of TimmBackbone: any model of timm"),
    Setting("model.backbone.pretrained", "false", "of TimmBackbone: start from ImageNet weights"),
    Setting("model.lr", "null", "learning rate; null: by the kind of input"),
    Setting("model.weight_decay", "0.0001", "of backbone and class head"),
    Setting("model.optimizer", "RAdam", "any class of torch.optim"),
    Setting("model.schedule", "cosine", "cosine to zero, or constant"),
    Setting("model.lr_warmup_steps", "0", "steps in which the rate rises to its value"),
    Setting("best_metric", "val/loss_calibrated", "by which best.ckpt is kept"),
    Setting("trust", "null", "package whose classes a checkpoint may name"),
)
_EXAMPLE = """  hilmix fit -c configs/method/hilmix.yaml --data.root FOLDER --run_dir runs/mine
  hilmix fit -c configs/method/mv.yaml --model.backbone TimmBackbone --model.backbone.name convnext_atto

hilmix methods                             the methods, a line about each
hilmix fit --help-all                      every setting
hilmix fit -c FILE --print_config          every setting in force
hilmix fit --model.help CLASS              the settings of a class, such as hilmix.modules.EMClassifier
"""


def short_help() -> str:
    """Returns the help of ``fit``."""
    width = max(len(one.name) for one in SETTINGS) + 4
    default = max(len(one.default) for one in SETTINGS) + 2
    rows = [f"  {f'--{one.name}':<{width}}{one.default:<{default}}{one.about}" for one in SETTINGS]
    head = f"  {'setting':<{width}}{'default':<{default}}"
    start = "usage: hilmix fit -c configs/method/NAME.yaml [--SETTING VALUE ...]\n\nTrain a method.\n"
    return "\n".join([start, head.rstrip(), *rows, "", _EXAMPLE])
