"""Routes of a task that is off: they say so, and where that was decided."""

from collections.abc import Collection

from fastapi import APIRouter
from fastapi.routing import APIRoute

from forge_inference.engine.errors import Forbidden
from forge_inference.tasks import Task


def refusing(routes: APIRouter, task: Task, served: Collection[Task]) -> APIRouter:
    """Takes the place of a task's routes, and is in no documentation. Each raises Forbidden."""
    instead = APIRouter(include_in_schema=False)

    async def refuse() -> None:
        raise Forbidden(
            f"The task {task} is off: this server answers {', '.join(served)}. Add {task} to spec.serving.tasks of the "
            "ScientificModel, or to --tasks (FORGE_TASKS) where the server was started without one."
        )

    for route in routes.routes:
        if isinstance(route, APIRoute):
            instead.add_api_route(route.path, refuse, methods=sorted(route.methods or ()))
    return instead
