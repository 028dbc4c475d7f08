"""Bytes to arrays and back: JPEG, PNG, and whatever else OpenCV reads.

Arrays are RGB (or one channel); OpenCV's BGR does not leave this room.
"""

from mfsynth.codecs.error import CodecError as CodecError
from mfsynth.codecs.exif import ExifDirectory as ExifDirectory
from mfsynth.codecs.exif import exif_directory as exif_directory
from mfsynth.codecs.exif import neutral_xmp as neutral_xmp
from mfsynth.codecs.gray import decode_gray as decode_gray
from mfsynth.codecs.gray import gray_size as gray_size
from mfsynth.codecs.ids import decode_ids as decode_ids
from mfsynth.codecs.jpeg import JpegHeader as JpegHeader
from mfsynth.codecs.jpeg import decode_jpeg as decode_jpeg
from mfsynth.codecs.jpeg import encode_jpeg as encode_jpeg
from mfsynth.codecs.jpeg import is_jpeg as is_jpeg
from mfsynth.codecs.jpeg import jpeg_header as jpeg_header
from mfsynth.codecs.jpeg import neutral_jpeg as neutral_jpeg
from mfsynth.codecs.kinds import kind_of as kind_of
from mfsynth.codecs.orientation import is_transposed as is_transposed
from mfsynth.codecs.orientation import orientation_of as orientation_of
from mfsynth.codecs.orientation import turned as turned
from mfsynth.codecs.picture import decode_picture as decode_picture
from mfsynth.codecs.picture import is_transparent as is_transparent
from mfsynth.codecs.png import PngHeader as PngHeader
from mfsynth.codecs.png import decode_png as decode_png
from mfsynth.codecs.png import encode_png as encode_png
from mfsynth.codecs.png import png_chunk as png_chunk
from mfsynth.codecs.png import png_header as png_header
from mfsynth.codecs.sizes import picture_size as picture_size
