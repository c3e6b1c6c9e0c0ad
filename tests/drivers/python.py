"""Makes calls with a driver as it is published: python3 python.py psycopg|asyncpg < CALLS

A line of CALLS is {"sql", "values", "names"}: `values` are the Python that an application writes for
$1, $2 and so on, and `names` its variables. A line comes back for each: the first column of the first
row, or the error, and what the server warned of. The server is that of PGHOST, PGPORT, PGDATABASE and
PGUSER.
"""

import asyncio
import json
import re
import sys

warnings = []


def values(call, **names):
    return [eval(value, {"json": json, **names, **call["names"]}) for value in call["values"]]


async def with_psycopg():
    import psycopg
    from psycopg.types.json import Jsonb

    def notice(said):
        warnings.append({"message": said.message_primary, "hint": said.message_hint})

    connection = await psycopg.AsyncConnection.connect(autocommit=True)
    connection.add_notice_handler(notice)

    async def ask(call):
        cursor = await connection.execute(re.sub(r"\$\d", "%s", call["sql"]), values(call, Jsonb=Jsonb))
        return (await cursor.fetchone())[0]

    return ask, connection.close


async def with_asyncpg():
    import asyncpg

    def notice(_, said):
        warnings.append({"message": said.message, "hint": said.hint})

    connection = await asyncpg.connect()
    connection.add_log_listener(notice)

    async def ask(call):
        return await connection.fetchval(call["sql"], *values(call))

    return ask, connection.close


def raised(error):
    """An error of the server has a severity, one of the driver's own has not."""
    # psycopg keeps it apart.
    severity = getattr(getattr(error, "diag", error), "severity", None)
    return {"error": str(error), "sqlstate": error.sqlstate if severity else None}


async def main():
    ask, close = await {"psycopg": with_psycopg, "asyncpg": with_asyncpg}[sys.argv[1]]()
    for line in sys.stdin:
        try:
            outcome = {"value": await ask(json.loads(line))}
        except Exception as error:
            outcome = raised(error)
        # asyncpg tells its listeners in the next turn of the loop.
        await asyncio.sleep(0)
        print(json.dumps({**outcome, "warnings": warnings}))
        warnings.clear()
    await close()


asyncio.run(main())
