"""Invertible rescaling: photos to small pictures that remember, and back."""
