from .environment import Environment as Environment, describe_size as describe_size, home as home
from .installation import install as install, remove as remove
from .npm import npm_archive as npm_archive
from .spec import EnvironmentSpec as EnvironmentSpec
from .worker import Worker as Worker, WorkerError as WorkerError
