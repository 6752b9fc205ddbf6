from .filesystem import (
    check_unicode as check_unicode,
    filesystem as filesystem,
    is_folder as is_folder,
    list_folder as list_folder,
    open_binary as open_binary,
    read_file as read_file,
)
from .folder import Folder as Folder
from .json_files import parse_json as parse_json
from .json_stream import JsonMember as JsonMember, json_elements as json_elements, json_members as json_members
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
