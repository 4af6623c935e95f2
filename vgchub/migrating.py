"""An operation that makes many tables and draws up the models once, not once per table."""

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.operations.fields import AddField
from django.db.migrations.operations.models import CreateModel
from django.db.migrations.state import ProjectState


class CreateModelsAtOnce(Operation):
    """The CreateModel and AddField operations of a squashed migration; the fields become part of their new tables.

    One by one, each model that is added has all models related to it drawn up again: with sixty that is 6 of 8 s.
    """

    reversible = True

    def __init__(self, operations: list[CreateModel | AddField]) -> None:
        self.operations = operations

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        state.__dict__.pop("apps", None)  # what is not drawn up is not drawn up again; asking for it does so anew
        for operation in self.operations:
            operation.state_forwards(app_label, state)

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,  # noqa: ARG002  an operation's signature
        to_state: ProjectState,
    ) -> None:
        for model in self._models():
            schema_editor.create_model(to_state.apps.get_model(app_label, model.name))

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,  # noqa: ARG002
    ) -> None:
        for model in reversed(self._models()):
            schema_editor.delete_model(from_state.apps.get_model(app_label, model.name))

    def describe(self) -> str:
        return f"Create {len(self._models())} models at once"

    def _models(self) -> list[CreateModel]:
        return [operation for operation in self.operations if isinstance(operation, CreateModel)]
