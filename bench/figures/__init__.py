"""Drawings of results: plots, and pictures side by side on a page."""
