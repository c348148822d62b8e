"""Many runs, fast: rows that the store wrote, once more under other ids.

The store takes 30 ms for a run. What it has written for one of them is therefore copied in SQL, with another id, name,
start and values: the rows are those that the store would write.
"""

import sqlite3
from contextlib import closing
from typing import Any

from history.place import Place

TABLES = ("tags", "params", "metrics", "latest_metrics")
Row = dict[str, Any]


def multiply(place: Place, patterns: list[str], count: int) -> None:
    """Add `count` runs that are like `patterns`, in the same experiments."""
    with closing(sqlite3.connect(place.folder / "mlflow.db")) as database:
        database.row_factory = sqlite3.Row
        rows = {table: _rows(database, table, patterns) for table in ("runs", *TABLES)}
        made: dict[str, list[Row]] = {table: [] for table in rows}
        for number in range(count):
            _copy(place, place.rng.choice(patterns), number, rows, made)
        for table, found in made.items():
            if found:
                names = list(found[0])
                marks = ", ".join("?" * len(names))
                columns = ", ".join(f'"{name}"' for name in names)
                values = [[row[name] for name in names] for row in found]
                database.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", values)
        database.commit()
    place.counts.update({"runs": count, "points": len(made["metrics"]), "params": len(made["params"])})
    place.runs += [row["run_uuid"] for row in made["runs"] if place.stays(row)]


def _rows(database: sqlite3.Connection, table: str, runs: list[str]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {run: [] for run in runs}
    for row in database.execute(f"SELECT * FROM {table}"):
        if row["run_uuid"] in found:
            found[row["run_uuid"]].append(dict(row))
    return found


def _copy(place: Place, like: str, number: int, rows: dict[str, dict[str, list[Row]]], made: dict[str, Any]) -> None:
    run_id, later, more = f"{place.rng.getrandbits(128):032x}", place.rng.randrange(10**10), place.rng.random()
    name = f"copy {number}"
    run = dict(rows["runs"][like][0])
    run |= {"run_uuid": run_id, "name": run["name"] and name, "artifact_uri": run["artifact_uri"].replace(like, run_id)}
    run |= {key: run[key] and run[key] + later for key in ("start_time", "end_time", "deleted_time")}
    made["runs"].append(run)
    for row in rows["tags"][like]:
        made["tags"].append(row | {"run_uuid": run_id} | ({"value": name} if row["key"] == "mlflow.runName" else {}))
    for row in rows["params"][like]:
        made["params"].append(row | {"run_uuid": run_id} | ({"value": str(number % 9)} if row["key"] == "seed" else {}))
    for table in ("metrics", "latest_metrics"):
        for row in rows[table][like]:
            moved = {"run_uuid": run_id, "timestamp": row["timestamp"] + later, "value": row["value"] + more}
            made[table].append(row | moved)
