"""Measurements over a folder of images, into files that can be resumed."""
