"""Answers questions with libpq itself: a JSON question a line on stdin, a JSON answer a line on stdout.

{"parse": TEXT}                              what PQconninfoParse reads
{"defaults": true, "env": {...}}             what PQconndefaults takes from these variables
{"connect": TEXT, "env": {...}}              what PQconnectdb makes of it; nothing listens, so it never succeeds
"""

import json
import os
import sys

from psycopg import pq

# What libpq says once it has accepted every parameter and only the network is in the way.
REACHED = ("connection to server", "could not translate host name")


def text(value):
    return value.decode("utf-8", "surrogateescape")


def values(options):
    found = {text(option.keyword): text(option.val) for option in options if option.val is not None}
    plain = all(0xDC80 > ord(c) or ord(c) > 0xDCFF for value in found.values() for c in value)
    return found if plain else None


def set_environment(variables):
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]
    os.environ.update(variables)


def answer(question):
    set_environment(question.get("env", {}))
    if "parse" in question:
        try:
            return {"ok": values(pq.Conninfo.parse(question["parse"].encode()))}
        except Exception as error:
            return {"error": str(error)}
    if "defaults" in question:
        return {"ok": values(pq.Conninfo.get_defaults())}
    connection = pq.PGconn.connect(question["connect"].encode())
    message = connection.get_error_message()
    invalid = "invalid integer value" in message
    if invalid or not any(sign in message for sign in REACHED):
        return {"error": message}
    return {
        "ok": values(connection.info),
        "user": text(connection.user),
        "dbname": text(connection.db),
        "host": text(connection.host),
        "port": text(connection.port),
        "password": text(connection.password),
    }


print(json.dumps({"version": pq.version()}), flush=True)
for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
