"""The digits that come with scikit-learn, with simulated annotators: nothing to download."""

from functools import lru_cache

from hilmix.data.simulation.digits import LICENCE, simulate_digits
from hilmix.data.sources.base import Profile, Source

CITATION = (
    "E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998; "
    "F. Pedregosa et al., Scikit-learn, JMLR 2011"
)
# The data are a function of kind and seed and are never changed in place; 20 networks are trained for one kind, and a
# comparison of methods loads it once per method. Two are kept, so that a loop over seeds does not collect them.
draw_digits = lru_cache(maxsize=2)(simulate_digits)
CLASS = Source(
    name="digits-class",
    summary="1,797 digits of 8x8 pixels, 20 simulated annotators with confusion matrices",
    licence=LICENCE,
    citation=CITATION,
    build=lambda access, options: draw_digits("class", options.seed),
    options=("seed",),
    profile=Profile(
        "1,797", "20, simulated", "2 or 3", "44.6 % (seed 0)", "a first run; errors that depend on the class"
    ),
    note="Good, weak, biased, spamming and adversarial annotators; their names give the kind.",
)
INSTANCE = Source(
    name="digits-instance",
    summary="1,797 digits of 8x8 pixels, 20 simulated annotators that are weak classifiers",
    licence=LICENCE,
    citation=CITATION,
    build=lambda access, options: draw_digits("instance", options.seed),
    options=("seed",),
    profile=Profile(
        "1,797", "20, simulated", "2 or 3", "49.9 % (seed 0)", "a first run; errors that depend on the input"
    ),
    note="Errors depend on the input (annot-mix protocol).",
)
