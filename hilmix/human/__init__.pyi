from . import elicit as elicit, functional as functional, perception as perception, report as report, study as study
from .human_mix import HumanMix as HumanMix
