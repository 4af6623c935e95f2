"""A foreign key over two columns, which Django has no word for: "this seat is of this entry's own division"."""

from collections.abc import Sequence
from typing import Any

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Statement


class ForeignKeyTogether(models.BaseConstraint):
    """FOREIGN KEY (fields) REFERENCES to (to_fields); a row with a null among `fields` is not checked (MATCH SIMPLE).

    `fields` and `to_fields` are column names; `to` is a table, on which `to_fields` must be unique together.
    """

    def __init__(self, *, fields: list[str], to: str, to_fields: list[str], name: str) -> None:
        super().__init__(name=name)
        self.fields, self.to, self.to_fields = list(fields), to, list(to_fields)

    def _definition(self, schema_editor: BaseDatabaseSchemaEditor) -> str:
        quote = schema_editor.quote_name
        own, other = (", ".join(map(quote, columns)) for columns in (self.fields, self.to_fields))
        return (
            f"CONSTRAINT {quote(self.name)} FOREIGN KEY ({own}) REFERENCES {quote(self.to)} ({other}) "
            "DEFERRABLE INITIALLY DEFERRED"
        )

    def constraint_sql(self, model: type[models.Model] | None, schema_editor: BaseDatabaseSchemaEditor | None) -> str:
        assert schema_editor is not None  # noqa: S101  the signature is Django's
        # Added once the table stands: the column's own foreign keys come deferred as well.
        if model is not None:
            schema_editor.deferred_sql.append(self.create_sql(model, schema_editor))
        return ""

    def create_sql(  # type: ignore[override]  # Django's own constraints return a Statement too
        self, model: type[models.Model] | None, schema_editor: BaseDatabaseSchemaEditor | None
    ) -> Statement:
        assert model is not None  # noqa: S101
        assert schema_editor is not None  # noqa: S101
        table = schema_editor.quote_name(model._meta.db_table)  # noqa: SLF001
        return Statement(f"ALTER TABLE {table} ADD {self._definition(schema_editor).replace('%', '%%')}")

    def remove_sql(  # type: ignore[override]
        self, model: type[models.Model] | None, schema_editor: BaseDatabaseSchemaEditor | None
    ) -> Statement:
        assert model is not None  # noqa: S101
        assert schema_editor is not None  # noqa: S101
        table = schema_editor.quote_name(model._meta.db_table)  # noqa: SLF001
        return Statement(f"ALTER TABLE {table} DROP CONSTRAINT {schema_editor.quote_name(self.name)}")

    def validate(self, *args: Any, **kwargs: Any) -> None:
        """The database validates; a form can't."""

    def deconstruct(self) -> tuple[str, Sequence[Any], dict[str, Any]]:
        path, args, kwargs = super().deconstruct()
        return path, args, {**kwargs, "fields": self.fields, "to": self.to, "to_fields": self.to_fields}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ForeignKeyTogether) and self.deconstruct() == other.deconstruct()

    __hash__ = None  # type: ignore[assignment]
