"""Local files and URLs: read and written alike, a connection that breaks included.

The only room that uses fsspec, and that reads from the web.
"""

from mfsynth.locations import is_url as is_url
from mfsynth.locations import join as join
from mfsynth.locations import local_path as local_path
from mfsynth.locations import meant_url as meant_url
from mfsynth.locations import parent as parent
from mfsynth.locations import scrubbed as scrubbed
from mfsynth.locations import shown as shown
from mfsynth.storage.folder import NOT_A_FILE as NOT_A_FILE
from mfsynth.storage.folder import Folder as Folder
from mfsynth.storage.folder import Hold as Hold
from mfsynth.storage.folders import expanded as expanded
from mfsynth.storage.folders import folder_at as folder_at
from mfsynth.storage.folders import names_in as names_in
from mfsynth.storage.local import cache_folder as cache_folder
from mfsynth.storage.local import digest as digest
from mfsynth.storage.local import irregular as irregular
from mfsynth.storage.local import is_file as is_file
from mfsynth.storage.local import is_folder as is_folder
from mfsynth.storage.local import is_there as is_there
from mfsynth.storage.local import open_regular as open_regular
from mfsynth.storage.local import publish as publish
from mfsynth.storage.local import put as put
from mfsynth.storage.local import scratch_file as scratch_file
from mfsynth.storage.local import sync as sync
from mfsynth.storage.local import write as write
from mfsynth.storage.paths import AnyPath as AnyPath
from mfsynth.storage.paths import Mark as Mark
from mfsynth.storage.paths import RemotePath as RemotePath
from mfsynth.storage.paths import mark_of as mark_of
from mfsynth.storage.paths import open_anywhere as open_anywhere
from mfsynth.storage.paths import path_at as path_at
from mfsynth.storage.patience import PATIENCE as PATIENCE
from mfsynth.storage.patience import Patience as Patience
from mfsynth.storage.reading import local_copy as local_copy
from mfsynth.storage.reading import open_file as open_file
from mfsynth.storage.reading import read as read
