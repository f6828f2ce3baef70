"""The benchmark of methods that learn from several annotators; README.md of this folder tells what, how and why."""
