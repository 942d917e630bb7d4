"""Connects with libpq, as often as asked: a JSON question a line on stdin, a JSON answer a line on stdout.

{"connect": TEXT, "home": DIRECTORY}  what PQconnectdb makes of it, with that home and no PG* variable
"""

import json
import os

from psycopg import pq

for name in [name for name in os.environ if name.startswith("PG")]:
    del os.environ[name]
# Without a terminal OpenSSL asks for a passphrase on standard input: nobody is there.
questions = os.fdopen(os.dup(0))
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
print(json.dumps({"version": pq.version()}), flush=True)
for line in questions:
    question = json.loads(line)
    os.environ["HOME"] = question["home"]
    connection = pq.PGconn.connect(question["connect"].encode())
    connected = connection.status == pq.ConnStatus.OK
    print(json.dumps({"connects": connected, "says": connection.get_error_message()}), flush=True)
    connection.finish()
