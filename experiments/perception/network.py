"""The nonlinear counterpart of ``LearnedPerception``, for comparison: small networks that score each image.

Participants see ``s(b logit w + g(x1) - g(x2))``, x an image's components and class, g a linear function
plus one hidden layer. Five networks are averaged; each stops at the epoch that was best on a fifth of the *training*
image pairs, another fifth for each. The rest is fixed: 32 units, dropout 0.5, AdamW at 0.003, decay 0.1, 60 epochs.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import logit
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as loss_of

from hilmix.human.perception import MixJudgments
from hilmix.human.perception.components import Components
from hilmix.human.perception.evaluation import find_held_out_groups
from hilmix.human.perception.learned import COMPONENTS, RegressionColumns

MEMBERS, EPOCHS = 5, 60


class ScoreNetwork(nn.Module):
    """One network."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.line = nn.Linear(inputs, 1, bias=False)
        self.net = nn.Sequential(
            nn.Dropout(0.5), nn.Linear(inputs, 32), nn.GELU(), nn.Dropout(0.5), nn.Linear(32, 1, bias=False)
        )
        self.slope = nn.Parameter(torch.tensor(0.9))
        nn.init.zeros_(self.line.weight)

    def forward(self, first: Tensor, second: Tensor, odds: Tensor) -> Tensor:
        """Returns (M,) logits of the shares of image 1 that participants see."""
        g = [(self.line(x) + self.net(x))[:, 0] for x in (first, second)]
        return self.slope * odds + g[0] - g[1]


class Network(NamedTuple):
    """The fitted ensemble."""

    components: Components
    members: list[ScoreNetwork]

    def predict(self, judged: MixJudgments, *, features: Tensor, mix_features: Tensor | None = None) -> np.ndarray:
        """Returns (M,) expected shares of image 1."""
        first, second = (
            self.components(features[torch.from_numpy(i)].double().numpy()) for i in (judged.id1, judged.id2)
        )
        given = _inputs(judged, first, second)
        with torch.no_grad():
            return torch.stack([member(*given) for member in self.members]).mean(0).sigmoid().double().numpy()


def fit_network(judged: MixJudgments, features: Tensor, blocks: Sequence[int]) -> Network:
    """Trains the ensemble."""
    shown = RegressionColumns.build(judged, features, blocks, COMPONENTS)
    given = _inputs(shown.judgments, shown.first, shown.second)
    groups = find_held_out_groups(shown.judgments, "pair")
    part = (np.random.default_rng(0).permutation(int(groups.max()) + 1) % MEMBERS)[groups]
    answer = torch.from_numpy(shown.judgments.answer).float()
    members = [_train(given, answer, torch.from_numpy(part == member), member) for member in range(MEMBERS)]
    return Network(shown.components, members)


def _inputs(judged: MixJudgments, first: np.ndarray, second: np.ndarray) -> list[Tensor]:
    hot = np.eye(judged.num_classes)
    sides = (np.concatenate([x, hot[c]], 1) for x, c in ((first, judged.label1), (second, judged.label2)))
    return [torch.from_numpy(v).float() for v in (*sides, logit(judged.weight))]


def _train(given: list[Tensor], answer: Tensor, held: Tensor, seed: int) -> ScoreNetwork:
    torch.manual_seed(seed)
    net = ScoreNetwork(given[0].shape[1])
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.1)
    seen, best, kept = [v[~held] for v in given], float("inf"), net.state_dict()
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(seen[0])).split(256):
            optimizer.zero_grad()
            loss_of(net.train()(*(v[rows] for v in seen)), answer[~held][rows]).backward()
            optimizer.step()
        with torch.no_grad():
            reached = float(loss_of(net.eval()(*(v[held] for v in given)), answer[held]))
        if reached < best:
            best, kept = reached, {name: value.clone() for name, value in net.state_dict().items()}
    net.load_state_dict(kept)
    return net
