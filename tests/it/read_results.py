"""A view's result files as four libraries see them that know nothing of Lakehead: `python read_results.py FOLDER`.

Prints one JSON object: for each library the columns and the number of rows, then what the files say of themselves.
"""

import glob
import json
import os
import sys

import duckdb
import pandas
import polars
import pyarrow.parquet

files = sorted(glob.glob(os.path.join(sys.argv[1], "*.parquet")))
seen = {}
if files:
    found = duckdb.execute("SELECT * FROM read_parquet(?)", [files]).to_arrow_table()
    seen["DuckDB"] = [found.column_names, found.num_rows]
    frame = pandas.concat([pandas.read_parquet(file) for file in files])
    seen["pandas"] = [list(frame.columns), len(frame)]
    table = polars.read_parquet(files)
    seen["Polars"] = [table.columns, table.height]
    tables = [pyarrow.parquet.read_table(file) for file in files]
    seen["PyArrow"] = [tables[0].column_names, sum(table.num_rows for table in tables)]

compressions, without_statistics, sorted_by = set(), set(), set()
for file in files:
    about = pyarrow.parquet.ParquetFile(file).metadata
    for group in range(about.num_row_groups):
        group = about.row_group(group)
        sorted_by.add(tuple(one.column_index for one in group.sorting_columns))
        for column in range(group.num_columns):
            column = group.column(column)
            compressions.add(column.compression)
            if not column.is_stats_set:
                without_statistics.add(column.path_in_schema)
print(json.dumps({
    "files": len(files),
    "seen": seen,
    "compressions": sorted(compressions),
    "without_statistics": sorted(without_statistics),
    "sorted_by": sorted(sorted_by),
}))
