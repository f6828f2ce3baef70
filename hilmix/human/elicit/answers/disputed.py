"""Pictures about which participants disagree the most, for the researcher to look at."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from statistics import pstdev

from hilmix.human.elicit.answers import quality
from hilmix.human.elicit.design.manifest import Stimulus
from hilmix.human.elicit.design.schema import Model, Task
from hilmix.human.elicit.design.study import Study
from hilmix.human.elicit.store.rows import AnswerRow

MOST = 12


class Dispute(Model):
    """A picture, what it is made of, and the answers about it.

    Attributes:
        image: name of a file; in the midpoint tasks the middle one of those that were offered.
        shown: classes and weight, or class.
        answers: classes with their counts, the most frequent first; or weights of image 1, rising.
        spread: share of answers that are not the most frequent class, or standard deviation of the weights.
    """

    task: Task
    stimulus: int
    image: str
    shown: str
    answers: tuple[str, ...]
    spread: float


def find_disputed(study: Study, given: Iterable[AnswerRow]) -> tuple[Dispute, ...]:
    """Returns the :data:`MOST` pictures with the widest spread of answers to main trials, of two answers or more.

    Args:
        study: as served.
        given: answers that count.
    """
    answers: dict[int, list[AnswerRow]] = defaultdict(list)
    for one in given:
        trial = study.trials[one.trial]
        if trial.kind == "main":
            answers[trial.stimulus].append(one)
    found = [_dispute(study, study.manifest.stimuli[s], rows) for s, rows in answers.items() if len(rows) > 1]
    ranked = sorted((one for one in found if one.spread > 0), key=lambda one: (-one.spread, one.stimulus))
    return tuple(ranked[:MOST])


def _dispute(study: Study, shown: Stimulus, rows: list[AnswerRow]) -> Dispute:
    classes = study.manifest.dataset.classes
    values = [quality.get_answer_value(row.answer) for row in rows]
    if shown.task in quality.CLASS_TASKS:
        counts = Counter(values).most_common()
        spread = 1 - counts[0][1] / len(values)
        texts = [f"{'none' if value is None else classes[value]}: {count}" for value, count in counts]
    else:
        spread, texts = pstdev(values), [f"{value:.2f}" for value in sorted(values)]
    one, two = classes[shown.label1], classes[shown.label2]
    weight = "" if shown.weight is None else f" {shown.weight:.2f}"
    return Dispute(
        task=shown.task,
        stimulus=shown.id,
        image=shown.images[len(shown.images) // 2],
        shown=one if shown.single else f"{one}{weight}, {two}",
        answers=tuple(texts),
        spread=round(spread, 4),
    )
