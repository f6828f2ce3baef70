"""The benchmark of methods that learn from several annotators; README.md of this folder has what, how and why."""
