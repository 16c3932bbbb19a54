"""The bodies of imports: what a file came to, its rows, remembered mappings."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from app.imports.columns import Kind
from app.web.body import Body

Outcome = Literal["waiting", "created", "unchanged", "skipped", "refused"]

FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {
                            "type": "string",
                            "format": "binary",
                            "description": "`.csv` (UTF-8, GBK or GB 18030; `,` `;` or tab) or `.xlsx`.",
                        },
                        "mapping": {
                            "type": "string",
                            "description": "JSON: `columns`, `goods`, `carriers`, `defaults`.",
                        },
                        "mapping_name": {
                            "type": "string",
                            "maxLength": 64,
                            "description": "A remembered mapping; with `mapping`: remember it so.",
                        },
                    },
                }
            }
        },
    }
}


class RowErrorOut(BaseModel):
    """What is wrong with a cell or a row. `row` as the spreadsheet counts; `kind` a stable word."""

    row: int
    field: str
    column: str
    value: str
    kind: str
    msg: str
    expected: str


class ImportOut(BaseModel):
    """A file: what its rows would come to (`planned`), or have come to so far.

    `errors`, `warnings`: the first hundred of each; all are at `links.errors_csv` and `links.rows`.
    `listings`: of products, how many the file was found to list at which place; `…` for further places.
    """

    id: str | None = None
    kind: Kind
    status: Literal["planned", "running", "done", "failed"]
    rows: int
    done: int
    created: int
    unchanged: int
    skipped: int
    refused: int
    errors: list[RowErrorOut]
    warnings: list[RowErrorOut]
    file: dict[str, Any]
    listings: dict[str, int] | None = None
    error: str | None = None
    created_at: str | None = None
    finished_at: str | None = None
    links: dict[str, str]


class ImportRowOut(BaseModel):
    """A row and what came of it. What it said is not kept."""

    row: int
    outcome: Outcome
    errors: list[RowErrorOut]
    warnings: list[RowErrorOut]


class MappingIn(Body):
    """Which column is which field, and what the shop calls goods and carriers."""

    model_config = {
        **Body.model_config,
        "json_schema_extra": {
            "examples": [
                {
                    "columns": {"order": "单号", "goods": "货号"},
                    "goods": {"DY-01": "06901234567892"},
                    "carriers": {"示例快递": "91440000MA4TE5T04E"},
                    "defaults": {"platform": "示例商城"},
                }
            ]
        },
    }

    columns: dict[str, str] = Field(default_factory=dict)
    goods: dict[str, str] = Field(default_factory=dict)
    carriers: dict[str, str] = Field(default_factory=dict)
    defaults: dict[str, str] = Field(default_factory=dict)


class MappingOut(BaseModel):
    """A remembered mapping."""

    kind: Kind
    name: str
    mapping: dict[str, dict[str, str]]
    updated_at: str


class DoubtOut(BaseModel):
    """What may not hold of a mapping, at its place in the body of an import: `["mapping", part, word]`."""

    loc: list[str | int]
    kind: str
    msg: str


class MappingKeptOut(MappingOut):
    """A mapping as it is remembered now. `warnings`: carriers that are none registered here, so far."""

    warnings: list[DoubtOut]


class PresetOut(BaseModel):
    """A shop export that is recognised by its headers."""

    id: str
    title: str
    recognised_by: list[str]
    columns: dict[str, list[str]]
    defaults: dict[str, str]
