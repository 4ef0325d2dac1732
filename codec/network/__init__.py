"""The networks in floating point, the weights that they are made of, and a session of them on one device."""
