"""Many pictures: callables from bytes to bytes that travel between processes, and what runs them over many files.

>>> import io, pickle
>>> from PIL import Image
>>> from codec.batch import Decoder, Encoder
>>> photo = io.BytesIO()
>>> Image.new("RGB", (60, 40), (90, 120, 60)).save(photo, "PNG")
>>> encoder = pickle.loads(pickle.dumps(Encoder(quality=75)))
>>> data = encoder(photo.getvalue())
>>> Image.open(io.BytesIO(Decoder()(data))).size
(60, 40)

`Encoder`, `Decoder` and the others (callables.py) hold nothing but options, so that they pickle in a few hundred bytes;
the weights are loaded with the first picture that a process codes, and stay. jobs.py says what a job, a task and a
report are, runners.py runs a task over jobs in this process or in several, and task.py is the task of files.
Importing this package imports neither torch nor numpy.
"""

from codec.batch.callables import Decoder, Downscaler, Encoder, Made, ReadBack, Upscaler, Verifier

__all__ = ["Decoder", "Downscaler", "Encoder", "Made", "ReadBack", "Upscaler", "Verifier"]
