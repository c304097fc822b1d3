"""The cases that scripts/quality.py measures, and what they share."""
