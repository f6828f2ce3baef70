"""Torch's own generators, from which dropout and Beta draws come."""

import torch


def seed_torch(seed: int, device: torch.device) -> None:
    """Sets the generator of the host, and those of all other devices unless the work is done on the host.

    ``torch.manual_seed`` formats a stack trace for every kind of device that the build knows and nothing has used: more
    than the step of a small network takes.

    Args:
        seed: in [0, 2**63).
        device: on which the draws are made.
    """
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)
