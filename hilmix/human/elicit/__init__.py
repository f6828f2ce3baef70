"""The web study: judgments of your own mixes. An extra, ``hilmix[elicit]``; only the command line imports it."""
