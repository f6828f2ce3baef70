"""One curve of the learning rate, the share of wrong labels, and a plain line per epoch."""

import pytest
import torch
from lightning.pytorch.loggers import CSVLogger

from hilmix.callbacks import EpochCurves, EpochLine
from tests.callbacks.toy import Toy, toy_data, toy_datamodule, toy_trainer


class TwoGroups(Toy):
    """Trains two groups of parameters, and keeps what its validation steps returned."""

    def configure_optimizers(self):
        groups = [{"params": [self.scale], "lr": 0.2}, {"params": [torch.nn.Parameter(torch.ones(1))], "lr": 0.01}]
        self.outputs = []
        return torch.optim.SGD(groups)

    def validation_step(self, batch, batch_idx):
        self.outputs.append(super().validation_step(batch, batch_idx))
        return self.outputs[-1]


@pytest.mark.filterwarnings("ignore:The number of training batches")
def test_one_rate_and_the_noise_that_the_outputs_imply(tmp_path):
    model = TwoGroups()
    trainer = toy_trainer(tmp_path, [EpochCurves()], logger=CSVLogger(str(tmp_path)), log_every_n_steps=1)
    trainer.fit(model, datamodule=toy_datamodule(toy_data(), tmp_path))
    assert trainer.callback_metrics["train/lr"] == pytest.approx(0.2)
    wrong = torch.cat([1 - output.p_right for output in model.outputs])
    assert trainer.callback_metrics["val/label_noise"] == pytest.approx(wrong.mean().item())


@pytest.mark.filterwarnings("ignore:The number of training batches")
def test_a_line_per_epoch_without_escapes(tmp_path, capsys):
    trainer = toy_trainer(tmp_path, [EpochLine()], max_epochs=2)
    trainer.fit(Toy(), datamodule=toy_datamodule(toy_data(), tmp_path))
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
    assert [line.split(" of")[0] for line in lines] == ["epoch 0", "epoch 1"]
    assert all(line.isprintable() for line in lines)
