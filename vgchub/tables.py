"""Tables for spreadsheets, some lines at a time, so that they take little memory however long they are: CSV and XLSX."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from tempfile import TemporaryFile
from typing import IO, Any

from django.http import FileResponse, StreamingHttpResponse
from openpyxl import Workbook

Row = Sequence[Any]

LINES = 500
CSV, XLSX = "text/csv; charset=utf-8", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def harmless(cell: Any) -> Any:
    """A spreadsheet takes what begins so for a formula, and a player chooses the own name."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else cell


def csv_pieces(rows: Iterable[Row]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    lines = (writer.writerow([harmless(cell) for cell in row]) for row in rows)
    while piece := "".join(islice(lines, LINES)):
        yield piece


def csv_answer(rows: Iterable[Row], name: str) -> StreamingHttpResponse:
    answer = StreamingHttpResponse(csv_pieces(rows), content_type=CSV)
    answer["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return answer


def xlsx_answer(sheets: dict[str, Iterable[Row]], name: str) -> FileResponse:
    """One sheet after the other; the first row of each is its head."""
    return FileResponse(xlsx_file(sheets), as_attachment=True, filename=f"{name}.xlsx", content_type=XLSX)


def xlsx_file(sheets: dict[str, Iterable[Row]]) -> IO[bytes]:
    """Written row by row to a file without a name; the reader closes it."""
    book = Workbook(write_only=True)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title[:31])
        for row in rows:
            sheet.append([harmless(cell) for cell in row])
    kept = TemporaryFile()  # noqa: SIM115  the answer closes it
    book.save(kept)
    kept.seek(0)
    return kept


class _Echo:
    """A file for the csv module that hands each line back."""

    def write(self, line: str) -> str:
        return line
