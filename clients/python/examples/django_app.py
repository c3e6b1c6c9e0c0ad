"""Django, in one file: python3 django_app.py runserver"""

import os
import sys

from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import JsonResponse
from django.urls import path
from pg_eventlog import EventLog

settings.configure(ROOT_URLCONF=__name__, SECRET_KEY=os.urandom(16).hex(), ALLOWED_HOSTS=["*"])

# Made in the settings or in apps.py, before the server forks its workers. What waits when a worker
# ends is sent then.
log = EventLog(os.environ["EVENTLOG_URL"], os.environ["EVENTLOG_KEY"])


def search(request):
    log.track("tool_used", {"toolName": "search"}, actor=request.headers.get("X-User"))
    return JsonResponse({"found": 3})


def draw(request):
    context = {"actor": request.headers.get("X-User")}
    with log.track_execution("skill_executed", params={"skillName": "canvas"}, context=context):
        picture = "a circle"
    return JsonResponse({"picture": picture})


urlpatterns = [path("search", search), path("draw", draw)]

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
