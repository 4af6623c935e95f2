"""What a join pays for and nobody needs: foreign keys that another one implies, and an index for LIKE on random ids."""

import django.db.models.deletion
from django.db import migrations, models

DROP_LIKE = "DROP INDEX IF EXISTS registrations_queueentry_public_id_71785765_like"


class Migration(migrations.Migration):

    dependencies = [
        ('registrations', '0004_lean_history'),
        ('tournaments', '0007_lean_history'),
    ]

    operations = [
        migrations.AlterField(
            model_name='queueentry',
            name='tournament',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='entries', to='tournaments.tournament'),
        ),
        migrations.AlterField(
            model_name='queueentry',
            name='division',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='entries', to='tournaments.division'),
        ),
        migrations.RunSQL(DROP_LIKE, migrations.RunSQL.noop),
    ]
