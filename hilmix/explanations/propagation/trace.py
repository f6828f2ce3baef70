"""A network as a list of steps, found by one symbolic trace, or the reason why it cannot be walked."""

from typing import NamedTuple

from torch import fx, nn

from hilmix.errors import ConfigError
from hilmix.explanations.propagation.rules import FUNCTIONS, LAYERS, Rule, kind_of, rule_of
from hilmix.functional.modes import evaluation_mode


class Step(NamedTuple):
    """One layer: the names of its inputs and output, and the path of a module of the network or the rule itself."""

    inputs: tuple[str, ...]
    output: str
    layer: str | Rule

    def rule(self, network: nn.Module) -> Rule:
        """Returns the rule of the layer as it is now."""
        return rule_of(network.get_submodule(self.layer)) if isinstance(self.layer, str) else self.layer


class Tracer(fx.Tracer):
    """Goes into every module that has no rule of its own, except torch's, which are then refused by their name."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return kind_of(m) is not None or super().is_leaf_module(m, module_qualified_name)


def steps_of(network: nn.Module) -> tuple[str, list[Step]]:
    """Returns the name of the input and the steps from it to the output, the last step's, in order.

    Raises:
        ConfigError: if a layer has no rule; names the first one.
    """
    if kind_of(network) is not None:
        return "input", [_checked(Step(("input",), "output", ""), network)]
    tracer = Tracer()
    try:
        with evaluation_mode(network):  # dropout written as a function, or paths dropped at random, vanish
            graph = tracer.trace(network)
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:  # a TraceError is a ValueError
        raise _refusal(_innermost(tracer.module_stack, network), f"it cannot be traced: {error}") from error
    *_, output = graph.nodes
    needed = {output}
    for node in reversed(graph.nodes):  # checks of shapes, for example, are not
        if node in needed:
            needed.update(node.all_input_nodes)
    source = next(iter(graph.nodes)).name
    nodes = [node for node in graph.nodes if node in needed and node.op not in ("placeholder", "output")]
    steps = [_step(node, network) for node in nodes]
    if output.args[0] not in nodes:
        raise ConfigError("The network has to return one tensor, its logits, to have bounds.")
    return source, steps


def _step(node: fx.Node, network: nn.Module) -> Step:
    inputs = tuple(argument.name for argument in node.args if isinstance(argument, fx.Node))
    where = _innermost(node.meta.get("nn_module_stack", {}), network)
    if node.op == "call_module":
        return _checked(Step(inputs, node.name, str(node.target)), network)
    rule = FUNCTIONS.get(node.target) if node.op in ("call_function", "call_method") else None
    if rule is None or not _takes(node, inputs):
        name = getattr(node.target, "__name__", node.target)
        raise _refusal(where, f"it uses {name}{', but not as the rule for it' if rule else ''}")
    return Step(inputs, node.name, rule)


def _checked(step: Step, network: nn.Module) -> Step:
    layer = network.get_submodule(str(step.layer))
    where = str(step.layer), type(layer).__name__
    if kind_of(layer) is None:
        raise _refusal(where)
    try:
        rule_of(layer)
    except ConfigError as error:
        raise _refusal(where, str(error)) from None
    return step


def _takes(node: fx.Node, inputs: tuple[str, ...]) -> bool:
    """Returns whether a function is called as its rule expects: sums of two values, whole rows flattened."""
    name = getattr(node.target, "__name__", node.target)
    if name in ("add", "iadd"):
        return len(inputs) == 2 and not node.kwargs
    if name == "flatten":
        return (node.args[1:], node.kwargs) in (((1,), {}), ((), {"start_dim": 1}))
    return len(inputs) == 1


def _innermost(stack: dict[str, tuple[str, type]], network: nn.Module) -> tuple[str, str]:
    path, kind = list(stack.values())[-1] if stack else ("", type(network))
    return path, kind.__name__


def _refusal(where: tuple[str, str], reason: str = "") -> ConfigError:
    path, kind = where
    layer = f"the layer '{path}' ({kind})" if path else f"the network itself ({kind})"
    known = ", ".join(kind.__name__ for kind in LAYERS)
    return ConfigError(
        f"Bounds and parts have no rule for {layer}{': ' if reason else ''}{reason}; there are rules for {known}, "
        "sums, relu and flatten, which make MLPs, plain CNNs and ResNets."
    )
