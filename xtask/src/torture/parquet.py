"""The result files of a view, read (`rows FOLDER`) or spoiled (`spoil FOLDER`) by DuckDB, which knows nothing of Lakehead."""

import glob
import json
import os
import sys

import duckdb

what, folder = sys.argv[1], sys.argv[2]
public = sorted(glob.glob(os.path.join(folder, "*.parquet")))

if what == "rows":
    if public:
        query = "SELECT epoch_us(opened) // 1000000, name, events::BIGINT, total::BIGINT FROM read_parquet(?)"
        for opened, name, events, total in duckdb.execute(query, [public]).fetchall():
            print(json.dumps({"opened": opened, "name": name, "events": events, "total": total}))
elif what == "spoil":
    path = public[0]
    spoiled = path + ".spoiled"
    kind = duckdb.execute("SELECT typeof(events) FROM read_parquet(?) LIMIT 1", [path]).fetchone()[0]
    duckdb.execute(
        f"COPY (SELECT * REPLACE ((events + CASE WHEN row_number() OVER () = 1 THEN 1 ELSE 0 END)::{kind} AS events) "
        f"FROM read_parquet('{path}')) TO '{spoiled}' (FORMAT parquet)"
    )
    os.replace(spoiled, path)
else:
    sys.exit(f"rows or spoil, not {what}")
