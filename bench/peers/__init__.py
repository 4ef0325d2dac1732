"""The codecs that are measured, behind one protocol."""
