"""Judgments that the proposals of ``hilmix elicit next`` save."""
