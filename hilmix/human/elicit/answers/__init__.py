"""The answers of a study: validation, quality, status, tables and labels to train on."""
