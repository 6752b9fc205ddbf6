from .decode import (
    MAX_PIXELS as MAX_PIXELS,
    DecodedImage as DecodedImage,
    MissingDecoderError as MissingDecoderError,
    TooManyPixelsError as TooManyPixelsError,
    decode_image as decode_image,
    decode_sample as decode_sample,
    encode_jpeg as encode_jpeg,
    header_of as header_of,
    image_ref as image_ref,
    load_pixels as load_pixels,
    open_image as open_image,
    place_of as place_of,
    read_header as read_header,
    read_sample as read_sample,
    reads_heic as reads_heic,
    rotate_boxes as rotate_boxes,
    size_mismatch as size_mismatch,
    to_annotation as to_annotation,
    to_rgb as to_rgb,
)
from .header import Header as Header, is_complete as is_complete, parse_header as parse_header
from .lookup import (
    ImageLookup as ImageLookup,
    check_size as check_size,
    measured_size as measured_size,
)
from .names import (
    folded as folded,
    last_if_absolute as last_if_absolute,
    safe_filename as safe_filename,
    trailing_parts as trailing_parts,
)
from .siblings import folders_near as folders_near, lookup_for as lookup_for, lookup_of_file as lookup_of_file
from .similarity import (
    MAX_DISTANCE as MAX_DISTANCE,
    MIN_SIZE as MIN_SIZE,
    SimilarityIndex as SimilarityIndex,
    difference_hash as difference_hash,
    merge_groups as merge_groups,
    near_groups as near_groups,
)
