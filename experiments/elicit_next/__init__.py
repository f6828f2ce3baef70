"""How many judgments the proposals of ``hilmix elicit next`` save."""
