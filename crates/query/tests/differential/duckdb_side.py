"""Answers queries with DuckDB for the differential suite, one JSON object a line.

usage: duckdb_side.py

Reads requests from standard input and answers each with one line on standard output:

    {"load": "NAME", "file": "PATH"}   makes the Parquet file the table NAME         {"rows": []}
    {"query": "SQL"}                   {"rows": [[value, …], …]} or {"error": "why"}

A value is null, true, false, a list, an object, or text whose first letter says its type: i integer, f float, d decimal,
s text, t time in microseconds since 1970. So nothing is rounded on its way.
"""

import datetime
import decimal
import json
import sys

import duckdb

# What DataFusion says otherwise, so that most texts are the same for both.
SET_UP = """
    SET TimeZone = 'UTC';
    SET threads = 2;
    SET integer_division = true;
    CREATE MACRO tumble(time, size) AS time_bucket(size, time, TIMESTAMP '1970-01-01');
    CREATE MACRO regexp_like(text, pattern) AS regexp_matches(text, pattern);
"""
EPOCH = datetime.datetime(1970, 1, 1)
MICROSECOND = datetime.timedelta(microseconds=1)


def canonical(value):
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return f"i{value}"
    if isinstance(value, float):
        return f"f{value!r}"
    if isinstance(value, str):
        return f"s{value}"
    if isinstance(value, decimal.Decimal):
        return f"d{value:f}"
    if isinstance(value, datetime.datetime):
        if value.tzinfo is not None:
            value = value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
        return f"t{(value - EPOCH) // MICROSECOND}"
    if isinstance(value, datetime.date):
        return canonical(datetime.datetime(value.year, value.month, value.day))
    if isinstance(value, (list, tuple)):
        return [canonical(item) for item in value]
    if isinstance(value, dict):
        return {key: canonical(item) for key, item in value.items()}
    raise TypeError(f"a value of the type {type(value).__name__}: {value!r}")


def answer(connection, sql):
    relation = connection.sql(sql)
    # Python's years end at 9999; microseconds do not.
    times = [str(kind) in ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "DATE") for kind in relation.types]
    names = ['"' + name.replace('"', '""') + '"' for name in relation.columns]
    shown = [f"epoch_us({name}) AS {name}" if is_time else name for name, is_time in zip(names, times)]
    rows = relation.project(", ".join(shown)).fetchall()

    def cell(value, is_time):
        return f"t{value}" if is_time and value is not None else canonical(value)

    return [[cell(value, is_time) for value, is_time in zip(row, times)] for row in rows]


def main():
    connection = duckdb.connect()
    connection.execute(SET_UP)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "load" in request:
                name, file = request["load"], request["file"].replace("'", "''")
                connection.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM read_parquet('{file}')")
                said = {"rows": []}
            else:
                said = {"rows": answer(connection, request["query"])}
        except Exception as error:
            said = {"error": str(error)}
        print(json.dumps(said), flush=True)


main()
