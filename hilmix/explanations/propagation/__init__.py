"""Networks evaluated on other values than tensors: bounds, parts of a sum, bounds of the gradient."""

from hilmix.explanations.propagation.network import Propagation

__all__ = ["Propagation"]
