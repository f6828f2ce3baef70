"""Default texts of a study: consent, instructions, comprehension check, thanks."""

from typing import NamedTuple

from hilmix.human.elicit.design.schema import Check, Task, Wording

CONSENT = """# Taking part

Thank you for your interest. You will look at pictures and say what {view}. It is one session of {trials} pictures.

* Taking part is voluntary. You may stop at any time, without giving a reason.
* Your answers and the time you take for them are stored under a random code, not under your name. Your internet
  address is not stored.
* You can have all your answers deleted, with the button "Withdraw and delete my answers".
* The answers are used for research on how people and computers see pictures. They may be published, without the
  comments you may write at the end.

If you have questions, write to the person who gave you this link.

- [ ] I am at least 18 years old.
- [ ] I have read and understood the text above.
- [ ] I agree to take part.
"""

THANKS = """# Thank you

Your answers have been stored. You may close this page.
"""

_HEAD = """# What to do

You will see {trials} pictures, one after the other.{practice} There is no time limit, but do not think about one
picture for long.

"""


class _Words(NamedTuple):
    """The same in the third and the first person."""

    view: str
    who: str
    say: str
    whose: str


_WORDS: dict[Wording, _Words] = {
    "third": _Words(
        view="you think other people see in them",
        who="Imagine that 100 other people look at the same picture",
        say="those 100 people would say",
        whose="What I think 100 other people would say",
    ),
    "first": _Words(
        view="you see in them",
        who="Look at the picture",
        say="you would say",
        whose="What I see myself",
    ),
}
_BODY: dict[Task, str] = {
    "construct": """Two pictures have been mixed. With the buttons **less** and **more**, or the arrow keys, you step
from one of them to the other, through mixes with more and more of it. The names of both classes are shown.

{who}. **Stop at the mix of which {say} that it is half the one class and half the other.** Then press **Continue**.
""",
    "select": """Two pictures have been mixed in several ways, with more of the one or more of the other. The mixes are
shown side by side, in random order. The names of both classes are shown.

{who}. **Choose the mix of which {say} that it is half the one class and half the other.** Then press **Continue**.
""",
    "infer": """Each picture is a mix of two pictures of different classes. The names of both classes are shown.

{who}.

1. **With the first slider, say how much of each class {say} is in the mix**, from 100 % of the class on the left, over
   half and half, to 100 % of the class on the right.
2. **With the second slider, say how sure you are of this answer**, from 0 % (a guess) to 100 % (certain).

Then press **Continue**.
""",
    "categorical": """The pictures may be hard to make out. All classes there are will be listed.

{who}.

1. **Choose the class that {say} is the most probable**, and type how probable, in percent.
2. **Choose the second most probable class**, and type how probable, in percent; or choose that there is none.
3. **Tick every class of which {say} that it is impossible.**

Then press **Continue**.
""",
    "vote": """All classes there are will be listed.

{who}.

1. **Choose the class that {say} it shows.**
2. **With the slider, say how sure you are of this answer**, from 0 % (a guess) to 100 % (certain).

Then press **Continue**.
""",
}

_WHAT: dict[Task, tuple[str, str]] = {
    "construct": (
        "Find the mix that is half the one class and half the other",
        "Find the mix that shows the first class most clearly",
    ),
    "select": ("Choose the mix that is half the one class and half the other", "Choose the sharpest picture"),
    "infer": ("Say how much of each of two classes is in a mix", "Say which of two pictures is sharper"),
    "categorical": ("Say which classes a picture may show, and how probable each is", "Describe the picture in words"),
    "vote": ("Say which class a picture shows, and how sure I am", "Describe the picture in words"),
}
_HOW: dict[Task, tuple[str, str]] = {
    "construct": ("By stepping through the mixes with buttons or keys", "By typing a number"),
    "select": ("By choosing one of the mixes shown", "By typing a number"),
    "infer": ("With two sliders: one for the mix, one for how sure I am", "With one slider"),
    "categorical": ("By choosing classes, typing percents and ticking impossible classes", "With two sliders"),
    "vote": ("By choosing one class and moving a slider", "By typing the name of the class"),
}


def build_consent(wording: Wording, *, trials: int) -> str:
    """Returns the consent, whose last three lines are the statements to agree to."""
    return CONSENT.format(view=_WORDS[wording].view, trials=trials)


def build_instructions(task: Task, wording: Wording, *, trials: int, practice: int) -> str:
    """Returns what to do; ``trials`` counts the practice."""
    words = _WORDS[wording]
    first = {0: "", 1: " The first is for practice."}.get(practice, f" The first {practice} are for practice.")
    return _HEAD.format(trials=trials, practice=first) + _BODY[task].format(who=words.who, say=words.say)


def build_checks(task: Task, wording: Wording) -> tuple[Check, ...]:
    """Returns three questions: what the task is, how to answer, whose view is asked for."""
    other: Wording = "first" if wording == "third" else "third"
    return (
        _check("What is your task?", *_WHAT[task], right=0),
        _check("How do you answer?", *_HOW[task], right=1),
        _check("Whose view do we ask for?", _WORDS[wording].whose, _WORDS[other].whose, right=int(wording == "third")),
    )


def _check(question: str, answer: str, other: str, *, right: int) -> Check:
    choices = [other, "I do not know"]
    choices.insert(right, answer)
    return Check(question=question, choices=tuple(choices), right=right)
