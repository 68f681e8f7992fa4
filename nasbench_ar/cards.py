"""A table for others: one Parquet file, its Croissant description and its dataset card.

    from nasbench_ar.cards import write_card, write_parquet

    write_parquet(table, "mytable.parquet")     # one row per architecture and seed
    write_card(table, "mytable.parquet")        # mytable.croissant.json and mytable.md beside it

Croissant is the metadata format of MLCommons (version 1.1, with its responsible-AI fields); the
card is Markdown. Both say only what the table itself says of its origin.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasbench_ar.errors import ConfigError, TableError
from nasbench_ar.frames import Rows, to_dataframe, write_parts
from nasbench_ar.space import SearchSpace
from nasbench_ar.system.extras import require
from nasbench_ar.table import Table

if TYPE_CHECKING:
    import pandas as pd

_IDENTITY = {
    "arch": "the architecture: the level of each entry",
    "seed": "seed of the training",
}
_FLAGS = {  # as datagen sets them
    "sanity_robust_above_clean": "more images stand under an attack than without one",
    "sanity_zero_gradients": "over 1 % of the correct images have no gradient",
    "sanity_aa_above_cw": "AA-Compact leaves more standing than PGD-CW, beyond twice the noise of where they disagree",
    "sanity_aa_outside_ball": "AA-Compact returned images outside the ball before clipping",
    "sanity_square_lowers_accuracy": "Square takes more than 0.2 points from what the attacks before it leave",
}
_ROWS = {
    "training": "one per training",
    "architecture": "one per architecture: metrics are means over its trainings, flags are set if one has them",
}
_CONTEXT: dict[str, Any] = {  # of Croissant 1.1
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    **{
        word: f"cr:{word}"
        for word in (
            *("arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileObject"),
            *("fileProperty", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5"),
            *("parentField", "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate"),
            *("separator", "source", "subField", "transform"),
        )
    },
}


def write_parquet(table: Table, path: str | os.PathLike[str], *, by: Rows = "training") -> None:
    """Write `to_dataframe` as Parquet: units and definitions are metadata of the columns, the origin of the file.

    An entry whose levels are of several kinds, such as numbers and texts, is a column of texts.

    Raises:
        ConfigError: when pyarrow is not installed, or `by` is unknown.
        TableError: when the file cannot be written; an old one is then untouched.
    """
    pyarrow = require("Parquet", "pyarrow")
    parquet = require("Parquet", "pyarrow.parquet")
    packed = _packed(table, to_dataframe(table, by=by))
    fields = [
        field.with_metadata({"unit": unit(table, field.name), "description": description(table, field.name)})
        for field in packed.schema
    ]
    about = json.dumps({**origin(table), "rows": _ROWS[by]}, ensure_ascii=False)
    schema = pyarrow.schema(fields, metadata={**(packed.schema.metadata or {}), "nasbench_ar": about})
    stream = pyarrow.BufferOutputStream()
    parquet.write_table(packed.cast(schema), stream)
    write_parts(path, iter([stream.getvalue().to_pybytes()]))


def _packed(table: Table, frame: pd.DataFrame) -> Any:
    """The frame as an Arrow table, which decides the types of the file's columns."""
    kinds = {entry.name: {type(level) for level in entry.choices} for entry in table.space.entries}
    mixed = [name for name, found in kinds.items() if len(found) > 1 and found != {int, float}]
    texts = frame.assign(**{name: frame[name].map(str) for name in mixed})
    return require("Parquet", "pyarrow").Table.from_pandas(texts, preserve_index=False)


def write_card(table: Table, path: str | os.PathLike[str], *, by: Rows = "training") -> tuple[Path, Path]:
    """Write the Croissant description and the card of an exported file beside it; returns both paths.

    Raises:
        ConfigError: when the name does not end in .parquet, or pyarrow is not installed.
        TableError: when the exported file cannot be read, or one of these not be written.
    """
    exported = Path(path)
    check_name(exported)
    try:
        digest = hashlib.sha256(exported.read_bytes()).hexdigest()
    except OSError as error:
        raise TableError(f"cannot read {exported}: {error.strerror}; export the table first") from error
    frame = to_dataframe(table, by=by)
    described, card = exported.with_suffix(".croissant.json"), exported.with_suffix(".md")
    text = json.dumps(croissant(table, frame, exported.name, digest, by=by), indent=2, ensure_ascii=False)
    write_parts(described, iter([f"{text}\n".encode()]))
    write_parts(card, iter([card_text(table, frame, by=by).encode()]))
    return described, card


def check_name(exported: Path) -> None:
    """The description and the card take the name of the file, with other endings."""
    if exported.suffix.lower() != ".parquet":
        raise ConfigError(f"a card describes a Parquet file, not {exported.name}: give a name that ends in .parquet")


def origin(table: Table) -> dict[str, Any]:
    """What a table says of itself, and the hash of its numbers."""
    meta = table.meta
    told = {key: meta[key] for key in ("name", "title", "provenance", "licence", "notes", "source", "space")}
    return told | {"content_sha256": table.content_hash}


def unit(table: Table, column: str) -> str:
    return table.catalogue[column].unit if column in table.catalogue else ""


def description(table: Table, column: str) -> str:
    if column in table.catalogue:
        differs = table.meta["differs"].get(column)
        return table.catalogue[column].description + (f"; here: {differs}" if differs else "")
    if column in table.flag_names:
        return f"flag: {meaning}" if (meaning := _flag(table, column)) else "flag"
    if column in table.label_names:
        return "label of the training"
    if column in table.space.entry_names:
        if not isinstance(table.space, SearchSpace):
            entry = table.space.entries[table.space.entry_names.index(column)]
            return f"entry of the architecture: {', '.join(map(str, entry.choices))}"
        return f"{'depth' if column.startswith('D') else 'width'} of stage {column[1:]}"
    if column == "arch_id":
        order = "ascending by MACs" if isinstance(table.space, SearchSpace) else "in lexicographic order of the levels"
        return f"number of the architecture, from 1, {order}"
    return _IDENTITY[column]


def _flag(table: Table, name: str) -> str:
    """What is known of a flag, or nothing."""
    if name in _FLAGS:
        return _FLAGS[name]
    if name.endswith("_agree") and (metric := name.removesuffix("_agree")) in table.scalar_names:
        return f"independent recoveries gave the same value of {metric}"
    return "see the notes of the table" if any(name in note for note in table.meta["notes"]) else ""


def croissant(table: Table, frame: pd.DataFrame, file: str, sha256: str, *, by: Rows) -> dict[str, Any]:
    """The description of one exported Parquet file as JSON-LD."""
    schema = _packed(table, frame).schema
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"rows/{name}",
            "name": name,
            "description": " ".join(
                filter(None, [description(table, name), unit(table, name) and f"[{unit(table, name)}]"])
            ),
            "dataType": _data_type(kind),
            "source": {"fileObject": {"@id": file}, "extract": {"column": name}},
        }
        for name, kind in zip(schema.names, schema.types, strict=True)
    ]
    meta = table.meta
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": table.name,
        "description": f"{table.title}. {meta['provenance']}",
        "conformsTo": ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"],
        "license": meta["licence"],
        "rai:dataCollection": meta["provenance"],
        "rai:dataLimitations": meta["notes"],
        "rai:dataUseCases": "Comparison of search algorithms, and analysis of architectures, by tabulated scores.",
        "rai:personalSensitiveInformation": "None: scores of trained networks.",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": file,
                "name": file,
                "contentUrl": file,
                "encodingFormat": "application/x-parquet",
                "sha256": sha256,
            }
        ],
        "recordSet": [
            {"@type": "cr:RecordSet", "@id": "rows", "name": "rows", "description": _ROWS[by], "field": fields}
        ],
    }


def _data_type(kind: Any) -> str:
    types = require("Parquet", "pyarrow").types
    known = {"sc:Integer": types.is_integer, "sc:Float": types.is_floating, "sc:Boolean": types.is_boolean}
    return next((name for name, holds in known.items() if holds(kind)), "sc:Text")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _missing(table: Table, frame: pd.DataFrame, name: str) -> int:
    values = frame[name]
    return int((values == "" if name in table.label_names else values.isna()).sum())


def card_text(table: Table, frame: pd.DataFrame, *, by: Rows) -> str:
    """The dataset card: origin, limits, and every column with unit, missing values and meaning."""
    meta = table.meta
    rows = [
        f"| `{name}` | {unit(table, name)} | {_missing(table, frame, name)} | {_cell(description(table, name))} |"
        for name in frame.columns
    ]
    return "\n".join(
        [
            f"# {table.name}\n",
            f"{table.title}\n",
            f"{len(frame)} rows, {_ROWS[by]}. SHA-256 of the table's numbers: `{table.content_hash}`\n",
            f"## Origin\n\n{meta['provenance']}\n",
            f"## Licence\n\n{meta['licence']}\n",
            "## Limits\n",
            *[f"- {note}" for note in meta["notes"]],
            "\n## Columns\n",
            "| column | unit | missing | meaning |\n|---|---|---|---|",
            *rows,
            "",
        ]
    )
