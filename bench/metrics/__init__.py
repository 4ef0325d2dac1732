"""Distortion, curves, and how curves are compared."""
