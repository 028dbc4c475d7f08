"""Why an image can be left out: the words that builds, manifests and errors use."""

LICENSE = "license"
NO_ANNOTATION = "no-annotation"
MIN_AREA = "min-area"
PICTURE_MISSING = "picture-missing"
PICTURE_BROKEN = "picture-broken"
PICTURE_KIND = "picture-kind"
CMYK = "cmyk-jpeg"
DEPTH = "12-bit-jpeg"
UNREADABLE = "unreadable"
SIZE = "size-mismatch"
MASK_MISSING = "mask-missing"
MASK_BROKEN = "mask-broken"
UNKNOWN_SEGMENT = "unknown-segment"
MISSING_SEGMENT = "missing-segment"
BAD_INSTANCE = "bad-instance"

MEANING = {
    LICENSE: "its licence is not among --licenses",
    NO_ANNOTATION: "the annotations list no mask for it",
    MIN_AREA: "its segments cannot be shared out so that both frames keep --min-area in focus",
    PICTURE_MISSING: "the picture is not there",
    PICTURE_BROKEN: "the picture is empty, cut short or damaged",
    PICTURE_KIND: "the file is not of the kind that its name says",
    CMYK: "the JPEG has four channels (CMYK)",
    DEPTH: "the JPEG has more than 8 bits per channel",
    UNREADABLE: "its picture or mask is there, but the system does not let it be read",
    SIZE: "picture, mask and annotation differ in size",
    MASK_MISSING: "the mask is not there",
    MASK_BROKEN: "the mask is empty, cut short, damaged or no 8-bit PNG",
    UNKNOWN_SEGMENT: "the mask has ids that the annotations lack",
    MISSING_SEGMENT: "the annotations have ids that the mask lacks",
    BAD_INSTANCE: "an instance's polygons or RLE cannot be read",
}
