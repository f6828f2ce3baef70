"""Context of the steps behind the requests: look-ups, checks and changes of phase that many of them share."""

import re
from typing import NamedTuple

from hilmix.human.elicit.design.study import Study
from hilmix.human.elicit.serve import flow
from hilmix.human.elicit.serve.assignment import choose_batch, count_judgments, needs_judgments
from hilmix.human.elicit.serve.flow import ParticipantState, Phase, RequestError, State
from hilmix.human.elicit.store.rows import Participant, Rows

_CODE = re.compile(r"[A-Za-z0-9_-]{24}")
"""Form of the codes that participants join with: 18 random bytes in base 64."""


class StepContext(NamedTuple):
    """Context of a step: the study, the rows of the running transaction, seconds since 1970."""

    study: Study
    rows: Rows
    now: float

    def find_participant(self, code: str) -> Participant:
        """Returns the participant of a link.

        Raises:
            RequestError: 404 where the code is not known.
        """
        # The pattern first: codes of imported participants do not match, so no page leads to them.
        participant = self.rows.find_by_code(code) if _CODE.fullmatch(code) else None
        if participant is None:
            raise RequestError(404, "This link is not known; after a withdrawal nothing of it is kept.")
        return participant

    def read_participant_state(self, code: str) -> ParticipantState:
        """Returns a participant with the answered trials, and whether a lapsed lease was reassigned."""
        participant = self.find_participant(code)
        if participant.phase == "consent":
            counts = count_judgments(self.study.manifest, self.rows.read_coverage(self.now))
            none_free = choose_batch(self.study.manifest, counts, judged=()) is None
            return ParticipantState(participant, (), reassigned=False, none_free=none_free)
        answered = self.rows.read_answered_trials(participant.number)
        lapsed = (
            participant.phase in flow.LEASED
            and participant.lease_until is not None
            # Until now itself: read_coverage counts leases that end later.
            and participant.lease_until <= self.now
        )
        if not lapsed or participant.batch is None:
            return ParticipantState(participant, answered, reassigned=False)
        batch = self.study.manifest.batches[participant.batch]
        counts = count_judgments(self.study.manifest, self.rows.read_coverage(self.now))
        wanted = needs_judgments(self.study.manifest, batch, counts, answered=answered)
        # A lapsed lease alone ends nothing: a participant who returns goes on while the rest is still wanted.
        return ParticipantState(participant, answered, reassigned=not wanted)

    def require_phase(self, code: str, *allowed: Phase) -> ParticipantState:
        """Returns the state of a participant who must be in one of some phases; see :meth:`check_phase`."""
        current = self.read_participant_state(code)
        self.check_phase(current, *allowed)
        return current

    def check_phase(self, current: ParticipantState, *allowed: Phase) -> None:
        """Refuses a step that is not the one at hand.

        Raises:
            RequestError: 409 for a participant in none of the allowed phases.
        """
        here = flow.find_phase(self.study, current)
        if here == "expired" and here not in allowed:
            raise RequestError(
                409, "Your time for these images ran out and they went to others; load the page for new ones."
            )
        if here not in allowed:
            raise RequestError(409, f"This step is not the one at hand, which is '{here}'; load the page again.")

    def build_state(self, code: str) -> State:
        """Returns the state that the page of a participant shows."""
        return flow.build_state(self.study, self.read_participant_state(code))

    def lease_until(self) -> float:
        """Returns the end of a lease that begins now."""
        return self.now + 60 * self.study.manifest.settings.lease_minutes

    def enter_phase(self, participant: Participant, phase: str, **columns: object) -> None:
        """Moves a participant to another phase, with further columns, and notes it as an event."""
        self.rows.update_participant(participant.number, phase=phase, **columns)
        self.rows.add_event(participant.number, what="phase", detail=phase, now=self.now)
