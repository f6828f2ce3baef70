"""Error of a perception policy against the number of judgments: mixes proposed by ``elicit next``, and random mixes.

python -m experiments.elicit_next run     # results.csv, then table and figure; a minute on one core
python -m experiments.elicit_next table   # into README.md beside this file, and curves.png
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from experiments.elicit_next.simulated import CLASSES, ITEMS, UNEXPLAINED_SD, World, random_mixes
from experiments.harness import fill, markdown_table, mean_and_std, step_parser
from hilmix.human.elicit.design.pairs import Pairs
from hilmix.human.elicit.design.propose import Belief, Candidates, draw_candidates, propose
from hilmix.human.elicit.design.settings import WEIGHTS
from hilmix.human.elicit.next_mixes import POOL, fit_belief
from hilmix.plotting import BLUE, MUTED, STYLE

HERE = Path(__file__).parent
FILE, PAGE, FIGURE = HERE / "results.csv", HERE / "README.md", HERE / "curves.png"
HOW = {"next": "`elicit next`", "random": "random"}
SEEDS, ROUNDS, PER_ROUND, PER_PARTICIPANT = 20, 10, 50, 25
ERRORS = {"excess": "excess deviance", "strengths": "error of class strengths"}


def run(seeds: int) -> None:
    """Runs every seed in both ways and writes the errors after each round."""
    rows = [row for world in UNEXPLAINED_SD for seed in range(seeds) for how in HOW for row in curve(world, seed, how)]
    pd.DataFrame(rows).round(5).to_csv(FILE, index=False)


def curve(name: str, seed: int, how: str) -> list[dict[str, object]]:
    """One row per round. The first round is the same random mixes in both ways; each mix is judged once."""
    world, rows = World.of(seed, name), []
    free = np.where(np.arange(len(world.label)) < ITEMS, world.label, -1)
    drawn = random_mixes(free, ROUNDS * PER_ROUND, np.random.default_rng([seed, 3]))
    asked = _rows(drawn, np.arange(PER_ROUND))
    for step in range(1, ROUNDS + 1):
        participant = np.arange(len(asked.weight)) // PER_PARTICIPANT
        judged = world.answers(asked, participant, seed)
        used = np.arange(len(world.label))
        belief, components = fit_belief(judged, torch.from_numpy(world.features), used)
        rows.append(
            {
                "world": name,
                "seed": seed,
                "how": how,
                "judgments": len(asked.weight),
                "excess": world.excess(belief.mean, components),
                "strengths": world.strength_error(belief.mean),
            }
        )
        if step < ROUNDS:
            new = np.arange(step * PER_ROUND, (step + 1) * PER_ROUND)
            more = _rows(drawn, new) if how == "random" else _next(world, free, asked, belief, components, seed + step)
            asked = _joined(asked, more)
    return rows


def _next(
    world: World, free: np.ndarray, asked: Candidates, belief: Belief, components: np.ndarray, seed: int
) -> Candidates:
    mixes = draw_candidates(free, POOL, asked.pairs, weights=WEIGHTS, classes=CLASSES, seed=seed)
    found = propose(belief, world.columns(mixes, components), mixes.weight, mixes.pair, PER_ROUND)
    rng = np.random.default_rng(seed)  # batches are assigned, not taken in the order of choice
    return _rows(mixes, rng.permutation(found.rows))


def _rows(mixes: Candidates, rows: np.ndarray) -> Candidates:
    return Candidates(*mixes.chosen(rows), np.arange(len(rows)))


def _joined(one: Candidates, two: Candidates) -> Candidates:
    pairs = Pairs(*(np.concatenate(rows) for rows in zip(one.pairs, two.pairs, strict=True)))
    weight = np.concatenate([one.weight, two.weight])
    return Candidates(pairs, weight, np.arange(len(weight)))


def table(rows: pd.DataFrame) -> str:
    """Markdown: mean and standard deviation over the seeds, and in how many ``next`` has the smaller excess."""
    names, body = [f"{what}, {how}" for what in ("excess", "strengths") for how in HOW.values()], []
    for (world, judgments), here in rows.groupby(["world", "judgments"], sort=False):
        by = {how: here[here["how"] == how].set_index("seed") for how in HOW}
        cells = [mean_and_std(by[how][what], 4) for what in ERRORS for how in HOW]
        proposed, drawn = by["next"]["excess"], by["random"]["excess"]
        cells += [f"{proposed.mean() / drawn.mean():.2f}", f"{int((proposed < drawn).sum())} of {len(proposed)}"]
        body.append([str(world), str(judgments), *cells])
    return markdown_table(["images", "judgments", *names, "ratio of excess", "next better in"], body, left=1)


def draw(rows: pd.DataFrame) -> None:
    """Draws both errors: means, and the standard error of the mean as a band."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    panels = [(world, what) for what in ERRORS for world in UNEXPLAINED_SD]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 4.8), layout="constrained")
        for axes, (world, what) in zip(figure.subplots(2, 2, sharey="row").flat, panels, strict=True):
            for how, colour in zip(HOW, (BLUE, MUTED), strict=True):
                mine = rows[(rows["how"] == how) & (rows["world"] == world)]
                found = mine.groupby("judgments")[what].agg(["mean", "sem"])
                low, high = found["mean"] - found["sem"], found["mean"] + found["sem"]
                axes.plot(found.index, found["mean"], color=colour, marker="o", markersize=3, label=HOW[how].strip("`"))
                axes.fill_between(found.index, low, high, color=colour, alpha=0.2, linewidth=0)
            axes.set(title=f"{ERRORS[what]}\nimages {world} by features", xlabel="judgments", yscale="log")
            axes.grid(axis="y")
        figure.axes[0].legend()
        figure.savefig(FIGURE, dpi=110, metadata={"Software": None})


def main() -> None:
    """Runs the step."""
    parser = step_parser(__doc__, ("run", "table"))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    args = parser.parse_args()
    if args.step == "run":
        run(args.seeds)
    rows = pd.read_csv(FILE)
    fill(PAGE, "curves", table(rows))
    draw(rows)


if __name__ == "__main__":
    main()
