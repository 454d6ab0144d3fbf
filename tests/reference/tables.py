"""Writes tests/reference/tables: one table as text and in columns, by pandas, PyArrow and Polars, and one of kinds that text does
not have. usage: python3 tables.py (pandas 3.1, pyarrow 26, polars 2.1)"""
import datetime, decimal, pathlib

import numpy as np, pandas as pd, polars as pl, pyarrow as pa

there = pathlib.Path(__file__).parent / "tables"
draw = np.random.default_rng(5)
rows = 60
label = np.arange(rows) % 3
days = pd.to_datetime("2024-01-01") + pd.to_timedelta(draw.integers(0, 90, rows), unit="D")
table = pd.DataFrame({
    "size": np.round(draw.normal(size=rows) + 2 * label, 3),
    "single": np.round(draw.normal(size=rows), 2).astype(np.float32),
    "far": 1700000000.25 + np.round(draw.uniform(0, 60, rows), 2),
    "small": draw.integers(-5, 5, rows).astype(np.int8),
    "large": draw.integers(0, 10**15, rows).astype(np.uint64),
    "wet": draw.random(rows) < .5,
    "place": np.where(draw.random(rows) < .1, None, draw.choice(["north", "east", "caf\u00e9"], rows)),
    "day": days,
    "moment": days + pd.to_timedelta(draw.integers(0, 86400, rows), unit="s"),
    "zoned": (days + pd.to_timedelta(draw.integers(0, 86400, rows), unit="s")).tz_localize("Asia/Tokyo"),
    "holes": np.where(draw.random(rows) < .1, np.nan, np.round(draw.normal(size=rows), 2)),
    "counts": pd.array(np.where(draw.random(rows) < .1, None, draw.integers(0, 9, rows)), dtype="Int64"),
    "level": pd.Categorical(draw.choice(["low", "middle", "high"], rows)),
    "kind": np.array(["b", "c", "a"])[label],
})
table.to_csv(there / "table.csv", index=False)
table.to_parquet(there / "pandas.parquet", index=False, row_group_size=25)
table.to_feather(there / "pandas.feather")
columns = pa.Table.from_pandas(table, preserve_index=False)
with pa.ipc.new_stream(there / "pyarrow.arrows", columns.schema) as stream:
    stream.write_table(columns, max_chunksize=25)
polars = pl.from_pandas(table)
polars.write_parquet(there / "polars.parquet")
polars.write_ipc(there / "polars.arrow", compression="zstd")

kinds = pd.DataFrame({
    "size": table["size"],
    "price": [decimal.Decimal(int(cents)) / 100 for cents in draw.integers(0, 10**5, rows)],
    "code": pd.Categorical(draw.integers(10, 13, rows)),
    "took": pd.to_timedelta(draw.integers(0, 10**6, rows), unit="s"),
    "at": [datetime.time(row % 24, row) for row in range(rows)],
    "tags": [[1, 2]] * rows,
    "inner": [{"a": 1}] * rows,
    "raw": [b"x"] * rows,
    "kind": table["kind"],
}, index=draw.permutation(rows))
kinds.to_parquet(there / "kinds.parquet", compression="brotli")
