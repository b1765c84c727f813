"""Times another program at the questions that `cargo xtask bench views` puts to a view, over its Parquet files as they lie.

usage: view_day.py duckdb|polars|clickhouse VIEW_FOLDER RUNS DAY…

Asks for each day in turn, RUNS times in all: once for its rows, once for the sum of each wiki. Rows are fetched as Arrow,
the cheapest form there is. Prints one JSON object: the seconds of each run, and for each day its rows and edits.
"""

import datetime
import json
import os
import sys
import time


def duckdb_reader(files):
    import duckdb

    threads = duckdb.execute("SELECT current_setting('threads')").fetchall()[0][0]
    def day(start, end):
        return f"FROM read_parquet('{files}') WHERE minute >= TIMESTAMPTZ '{start}' AND minute < TIMESTAMPTZ '{end}'"

    def rows(start, end):
        return duckdb.sql(f"SELECT minute, wiki, edits {day(start, end)}").to_arrow_table()

    def by_wiki(start, end):
        question = f"SELECT wiki, sum(edits) AS edits {day(start, end)} GROUP BY wiki ORDER BY edits DESC"
        return duckdb.sql(question).to_arrow_table()

    return duckdb.__version__, threads, rows, by_wiki


def polars_reader(files):
    import polars as pl

    def day(start, end):
        return pl.scan_parquet(files).filter((pl.col("minute") >= start) & (pl.col("minute") < end))

    def rows(start, end):
        return day(start, end).select("minute", "wiki", "edits").collect().to_arrow()

    def by_wiki(start, end):
        sums = day(start, end).group_by("wiki").agg(pl.col("edits").sum())
        return sums.sort("edits", descending=True).collect().to_arrow()

    return pl.__version__, pl.thread_pool_size(), rows, by_wiki


def clickhouse_reader(files):
    import chdb
    import pyarrow as pa

    threads = os.cpu_count()

    def ask(columns, start, end, more):
        start, end = (f"toDateTime64('{time:%Y-%m-%d %H:%M:%S}', 6, 'UTC')" for time in (start, end))
        question = f"SELECT {columns} FROM file('{files}') WHERE minute >= {start} AND minute < {end} {more}"
        answer = chdb.query(f"{question} SETTINGS max_threads = {threads}", "Arrow")
        return pa.ipc.open_file(answer.bytes()).read_all()

    def rows(start, end):
        return ask("minute, wiki, edits", start, end, "")

    def by_wiki(start, end):
        return ask("wiki, sum(edits) AS total", start, end, "GROUP BY wiki ORDER BY total DESC").rename_columns(
            ["wiki", "edits"]
        )

    version = str(chdb.query("SELECT version()", "TabSeparated")).strip()
    return version, threads, rows, by_wiki


def main():
    peer, folder, runs, *days = sys.argv[1:]
    reader = {"duckdb": duckdb_reader, "polars": polars_reader, "clickhouse": clickhouse_reader}[peer]
    version, threads, rows, by_wiki = reader(os.path.join(folder, "*.parquet"))
    answer = dict(version=version, threads=threads)
    for name, ask in (("rows", rows), ("by_wiki", by_wiki)):
        seconds, found = [], {}
        for run in range(int(runs)):
            day = days[run % len(days)]
            start = datetime.datetime.fromisoformat(day).replace(tzinfo=datetime.timezone.utc)
            end = start + datetime.timedelta(days=1)
            begun = time.perf_counter()
            table = ask(start, end)
            seconds.append(time.perf_counter() - begun)
            if day not in found:
                found[day] = dict(rows=table.num_rows, edits=int(sum(table["edits"].to_pylist())))
        answer[name] = dict(seconds=seconds, days=found)
    print(json.dumps(answer))


main()
