"""What a model is served for: each task has routes of its own."""

from typing import Final, Literal, get_args

Task = Literal["generate", "genomics", "papers"]
TASKS: Final[tuple[Task, ...]] = get_args(Task)
