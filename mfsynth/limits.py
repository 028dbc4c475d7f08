"""The most that mfsynth accepts, checked against declared sizes before anything is decoded or allocated.

Every limit is far above what honest data needs; it bounds what a hostile file can cost.
"""

PICTURE_PIXELS = 1 << 28
"""Pixels of a picture, a mask or a member of a shard: 16,384 x 16,384."""
FRAMES = 255
"""Frames of a sample: a focus map has one byte per pixel."""
STACK = 32
"""Frames of a sample whose recipe has format 2, and of a build."""
STACK_PIXELS = 1 << 30
"""Pixels of all frames of such a sample: 32 frames of 33 megapixels."""
MIRRORED_PIXELS = 1 << 24
"""Pixels of a picture with all that a blur mirrors around it, unless they are less than 16 times its own."""
PLANES = 255
"""Planes of a recipe: a segment's plane has one byte."""
SAMPLES = 1 << 31
"""Samples of a data set: a thousand variants of two million images."""
ANNOTATION_BYTES = 8 << 30
"""Size of an annotation file. COCO's largest is 0.5 GB; Objects365's is 6 GB."""
OFFICIAL_ANNOTATION_BYTES = 1 << 30
"""Size of an annotation file in COCO's own archives; their largest is 0.5 GB."""
DOCUMENT_BYTES = 256 << 20
"""Size of a manifest, a config, a side file, a card, or any other document that is read whole."""
RECIPE_BYTES = 8 << 20
"""Size of a recipe; one with 1,000 segments takes 0.2 MB."""
OUTLINE_PIXELS = 1 << 22
"""Length of a polygon in an instance's outline, in pixels."""
SEGMENTS = 30_000
"""Segments of an image; this keeps its recipe below `RECIPE_BYTES`."""
BLURRED_SEGMENTS = 1_000
"""Segments of an image that are not sharp enough and join others: their number counts squared."""
JPEG_SCANS = 500
"""Scans of a progressive JPEG, each of which covers all pixels. Honest files have about ten."""
TIFF_STRIPS = 1 << 17
"""Strips of a TIFF, each of which has at least one row."""
JPEG_SIDE = 65_500
"""Longest side of a JPEG that libjpeg-turbo can write, in pixels."""
FILE_BYTES = 1 << 30
"""Size of a picture or mask file. A picture of `PICTURE_PIXELS` is smaller in any compressed format."""
INNER_ZIP_BYTES = 64 << 30
"""Size of a deflated zip inside a zip, which is unpacked to the cache."""
ZIP_DIRECTORY_BYTES = 256 << 20
"""Size of a zip's directory, which is read whole; that of COCO's largest split takes 14 MB."""
ZIP_MEMBERS = 2_000_000
"""Members of a zip."""
NETWORK_DOCUMENT_BYTES = 4 << 20
"""Size of a network's config.json, training.json or evaluation.json; they take a few kilobytes."""
WEIGHTS_HEADER_BYTES = 8 << 20
"""Size of the header of a safetensors file; that of the largest network takes 10 KB."""
