"""Encode photos on a Spark cluster, with mapPartitions.

    spark-submit examples/spark_encode.py PHOTOS OUT [QUALITY]

PHOTOS is a folder that Spark can read (of all computers, hdfs://, s3a://), OUT a folder that all computers see or a URL
such as s3://bucket/irc. A failure is named and the other photos go on; the exit status is then 1. Needs
`pip install pyspark 'irc-codec[cluster]'` on all computers.
"""

import os
import sys
from collections.abc import Iterable, Iterator

from pyspark.sql import Row, SparkSession

from codec.batch import Encoder
from codec.batch.places import Places
from codec.errors import IrcError


def encoded(rows: Iterable[Row], photos: str, out: str, quality: float) -> Iterator[tuple[str, int, str]]:
    """The photos of a partition -> path, size in bytes of the .irc file, and error of each."""
    encoder, places = Encoder(quality, threads=1), Places()
    for row in rows:
        inside = row.path.partition(photos)[2].strip("/")
        try:
            made = encoder(bytes(row.content))
            places.put(f"{out}/{os.path.splitext(inside)[0]}.irc", made, True, None)
        except IrcError as error:
            yield row.path, 0, str(error)
        else:
            yield row.path, len(made), ""


def main(photos: str, out: str, quality: str = "75") -> int:
    """Encode all photos; return the exit status."""
    photos, out = (name.rstrip("/") if "://" in name else os.path.abspath(name) for name in (photos, out))
    spark = SparkSession.builder.appName("irc encode").getOrCreate()
    files = spark.read.format("binaryFile").option("recursiveFileLookup", "true").load(photos).select("path", "content")
    work = files.rdd.mapPartitions(lambda rows: encoded(rows, photos, out, float(quality)))
    count = failed = 0
    for path, _, error in work.toLocalIterator():
        count += 1
        if error:
            failed += 1
            print(f"{path}: {error}", file=sys.stderr)
    print(f"{count} files, {failed} failed")
    spark.stop()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
