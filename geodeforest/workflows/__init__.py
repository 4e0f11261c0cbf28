"""Wiring: open, check, call the pure parts, commit the outputs, return a report."""
