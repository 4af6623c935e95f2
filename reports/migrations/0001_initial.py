import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='HistoryBlock',
            fields=[
                ('number', models.BigIntegerField(primary_key=True, serialize=False, verbose_name='number')),
                ('sealed_at', models.DateTimeField(verbose_name='sealed')),
                ('events', models.PositiveIntegerField(verbose_name='events')),
                ('sealed_to', models.JSONField()),
                ('marks', models.JSONField()),
                ('open_below', models.BigIntegerField()),
                ('contents', models.JSONField()),
                ('previous_digest', models.CharField(max_length=64)),
                ('digest', models.CharField(max_length=64, unique=True, verbose_name='digest')),
            ],
            options={
                'verbose_name': 'block of history',
                'verbose_name_plural': 'blocks of history',
                'ordering': ['number'],
                'constraints': [models.CheckConstraint(condition=models.Q(('number__gte', 1)), name='historyblock_numbers_from_one'), models.CheckConstraint(condition=models.Q(('digest', models.F('previous_digest')), _negated=True), name='historyblock_is_not_its_own_parent')],
            },
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='historyblock',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;", hash='e4168677f5caf5c6aaafafb6e1ec599ce5de2f11', operation='UPDATE OR DELETE', pgid='pgtrigger_append_only_ce998', table='reports_historyblock', when='BEFORE')),
        ),
    ]
