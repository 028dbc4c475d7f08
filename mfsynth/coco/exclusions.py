"""Why an image is left out, or a record skipped: the codes that builds, manifests and errors use."""

LICENSE = "license"
BAD_RECORD = "bad-record"
NO_ANNOTATION = "no-annotation"
MIN_AREA = "min-area"
MIN_SHARPNESS = "min-sharpness"
TOO_LARGE = "too-large"
PICTURE_MISSING = "picture-missing"
PICTURE_BROKEN = "picture-broken"
PICTURE_KIND = "picture-kind"
CMYK = "cmyk-jpeg"
DEPTH = "12-bit-jpeg"
UNREADABLE = "unreadable"
SIZE = "size-mismatch"
JPEG_SIZE = "too-large-for-jpeg"
MASK_MISSING = "mask-missing"
MASK_BROKEN = "mask-broken"
DEPTH_MISSING = "depth-missing"
DEPTH_BROKEN = "depth-broken"
DEPTH_FLAT = "depth-flat"
UNKNOWN_SEGMENT = "unknown-segment"
MISSING_SEGMENT = "missing-segment"
BAD_INSTANCE = "bad-instance"
NO_OUTLINE = "no-outline"
BOX_ONLY = "box-only"
STRAY = "stray-record"

CHOSEN = frozenset({LICENSE, MIN_AREA, MIN_SHARPNESS})
"""What options leave out although nothing is wrong with it."""

MEANING = {
    LICENSE: "its license is not among --licenses",
    BAD_RECORD: "its records in the annotations are malformed or contradict each other",
    NO_ANNOTATION: "the annotations list no mask for it",
    MIN_AREA: "its segments cannot be divided so that two planes keep --min-area",
    MIN_SHARPNESS: "too little of it is sharp: segments below --min-sharpness share a plane with a neighbor",
    TOO_LARGE: "its frames, or what is mirrored around them, are too large; use fewer --frames or less blur",
    PICTURE_MISSING: "the picture is missing",
    PICTURE_BROKEN: "the picture is empty, cut short or damaged",
    PICTURE_KIND: "the picture is of another kind than its name says, or of a kind that is not read",
    CMYK: "the JPEG has four channels (CMYK)",
    DEPTH: "the JPEG has more than 8 bits per channel",
    UNREADABLE: "its picture, mask or depth map is there, but cannot be read",
    SIZE: "picture, mask or depth map, and annotation differ in size",
    JPEG_SIZE: "it is larger than a JPEG can be, and --format is jpeg",
    MASK_MISSING: "the mask is missing",
    MASK_BROKEN: "the mask is empty, cut short, damaged, or not a PNG whose segment ids can be told",
    DEPTH_MISSING: "its depth map is missing",
    DEPTH_BROKEN: "the depth map is empty, cut short, damaged, or not gray with 8 or 16 bits",
    DEPTH_FLAT: "its depth map is of no use: it is constant, or less than half of its pixels are measured",
    UNKNOWN_SEGMENT: "the mask has segment ids that the annotations do not list",
    MISSING_SEGMENT: "the annotations list segment ids that the mask does not have",
    BAD_INSTANCE: "an instance's polygons or RLE cannot be read",
    NO_OUTLINE: "none of its instances has an outline; a box is not enough",
    BOX_ONLY: "instances without an outline; a box is not enough",
    STRAY: "records in the annotations that belong to no image",
}
