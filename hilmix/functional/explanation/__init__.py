"""Mathematics of explanations: saliency, adversarial examples, interval bounds, contextual decomposition."""
