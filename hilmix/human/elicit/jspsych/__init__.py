"""A study as a jsPsych experiment, and its saved answers."""
