from .filesystem import (
    MAX_DATASET_BYTES as MAX_DATASET_BYTES,
    MAX_FILE_BYTES as MAX_FILE_BYTES,
    MAX_IMAGE_BYTES as MAX_IMAGE_BYTES,
    check_unicode as check_unicode,
    filesystem as filesystem,
    is_file as is_file,
    is_folder as is_folder,
    list_folder as list_folder,
    open_binary as open_binary,
    open_regular as open_regular,
    read_file as read_file,
    read_within as read_within,
    unpacked as unpacked,
)
from .folder import Folder as Folder
from .json_files import parse_json as parse_json
from .json_stream import JsonMember as JsonMember, json_elements as json_elements, json_members as json_members
from .links import follow_links as follow_links
from .locks import is_at as is_at, take as take
from .output import (
    AtomicOutput as AtomicOutput,
    is_safe_name as is_safe_name,
    safe_name as safe_name,
    write_atomically as write_atomically,
)
from .uri import (
    IMAGE_SUFFIXES as IMAGE_SUFFIXES,
    DatasetURI as DatasetURI,
    base_name as base_name,
    is_remote as is_remote,
    join as join,
    parent as parent,
)
