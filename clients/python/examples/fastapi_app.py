"""FastAPI: uvicorn fastapi_app:app"""

import os
from contextlib import asynccontextmanager
from typing import Annotated, Optional

from fastapi import FastAPI, Header
from pg_eventlog import AsyncEventLog

log = AsyncEventLog(os.environ["EVENTLOG_URL"], os.environ["EVENTLOG_KEY"])


@asynccontextmanager
async def lifespan(app: FastAPI):
    yield
    # What waits is sent before the process ends.
    await log.close()


app = FastAPI(lifespan=lifespan)
User = Annotated[Optional[str], Header()]


@app.get("/search")
async def search(x_user: User = None):
    log.track("tool_used", {"toolName": "search"}, actor=x_user)
    return {"found": 3}


async def draw_circle():
    return "a circle"


@app.get("/draw")
async def draw(x_user: User = None):
    picture = await log.track_execution("skill_executed", draw_circle, {"skillName": "canvas"}, {"actor": x_user})
    return {"picture": picture}
