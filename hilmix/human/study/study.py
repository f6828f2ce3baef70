"""One study of mixed images: its stimuli, and the judgments of each participant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from hilmix.errors import DataError
from hilmix.human.perception.judgments import MixJudgments
from hilmix.human.study.tables import (
    TASKS,
    Judgments,
    Stimuli,
    Task,
    build_judgments_table,
    build_stimuli_table,
    check_different_names,
    take_rows,
)


@dataclass(frozen=True, eq=False)
class MixStudy:
    """One study of mixed images, immutable; :meth:`build` checks, the bare constructor trusts.

    Args:
        task: what participants were asked. ``construct``: move the weight until both classes are equally present.
            ``select``: choose that weight among pictures. ``infer``: name the weight of a mix. ``categorical``: name
            its classes.
        classes: K class names.
        participants: P participant names.
        num_items: size of the set of images that ``id1`` and ``id2`` point into.
        stimuli: S rows.
        judgments: L rows.
    """

    task: Task
    classes: tuple[str, ...]
    participants: tuple[str, ...]
    num_items: int
    stimuli: Stimuli
    judgments: Judgments

    @classmethod
    def build(
        cls,
        task: Task,
        *,
        classes: Sequence[str],
        participants: Sequence[str],
        num_items: int,
        stimuli: Mapping[str, ArrayLike],
        judgments: Mapping[str, Any],
    ) -> "MixStudy":
        """Returns the checked study.

        Args:
            task: one of :data:`TASKS`.
            classes: K names.
            participants: P names.
            num_items: size of the set of images.
            stimuli: the columns of ``Stimuli``; no ``weight`` in the midpoint tasks.
            judgments: the columns of ``Judgments`` that the task asks for, those of ``ClassAnswers`` beside them;
                ``seconds``, ``repeat`` and ``batch`` may be left out.

        Raises:
            DataError: naming the column, the first bad row and what is allowed.
        """
        if task not in TASKS:
            raise DataError(f"`task` must be one of {', '.join(TASKS)}, got '{task}'.")
        names, participant_names = (
            check_different_names(classes, "classes"),
            check_different_names(participants, "participants"),
        )
        shown = build_stimuli_table(task, stimuli, num_classes=len(names), num_items=num_items)
        judged = build_judgments_table(
            task, judgments, num_participants=len(participant_names), num_stimuli=len(shown), num_classes=len(names)
        )
        return cls(task, names, participant_names, num_items, shown, judged)

    def __repr__(self) -> str:
        return (
            f"MixStudy({self.task}: {len(self.judgments)} judgments of {len(self.stimuli)} stimuli by "
            f"{len(self.participants)} participants, {self.num_classes} classes)"
        )

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.classes)

    def without_repeats(self) -> "MixStudy":
        """The study without the trials that were flagged as shown once more; vocabularies and stimuli stay."""
        return replace(self, judgments=take_rows(self.judgments, ~self.judgments.repeat))

    def to_judgments(self) -> MixJudgments:
        """The answers of an infer study as plain arrays, which perception policies are fitted to; repeats as well, so
        take :meth:`without_repeats` first where they should not count.

        Raises:
            DataError: for another task.
        """
        if self.task != "infer":
            raise DataError(
                f"Perception policies are fitted to a study of the task 'infer'; this one is '{self.task}'."
            )
        judged, shown = self.judgments, self.stimuli
        mixes = {name: getattr(shown, name)[judged.stimulus] for name in ("label1", "label2", "id1", "id2", "weight")}
        return MixJudgments(
            **mixes,
            answer=judged.weight,
            confidence=judged.confidence,
            participant=judged.participant,
            num_classes=self.num_classes,
            participants=self.participants,
        )

    def to_frame(self) -> pd.DataFrame:
        """One row per judgment: the columns of :class:`Judgments` and :class:`Stimuli`, classes, participants and
        stimuli by name, the weight of the mix that was shown as ``generating_weight``; without ``answers``.
        """
        judged, shown = self.judgments, self.stimuli
        names, at = np.asarray(self.classes, dtype=object), judged.stimulus
        frame = pd.DataFrame(
            {
                "participant": np.asarray(self.participants, dtype=object)[judged.participant],
                "stimulus": np.asarray(shown.name, dtype=object)[at],
                "id1": shown.id1[at],
                "id2": shown.id2[at],
                "label1": names[shown.label1[at]],
                "label2": names[shown.label2[at]],
                "generating_weight": shown.weight[at],
                "weight": judged.weight,
                "confidence": judged.confidence,
                "seconds": judged.seconds,
                "repeat": judged.repeat,
                "trial": judged.trial,
                "batch": judged.batch,
            }
        )
        return frame if judged.start is None else frame.assign(start=judged.start)
