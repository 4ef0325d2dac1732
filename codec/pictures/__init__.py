"""Samples, and the files of other formats that they come from and go to."""
