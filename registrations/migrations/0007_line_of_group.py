"""A reserved seat is offered to its group without a walk along the whole line."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    atomic = False  # the index is built while people join

    dependencies = [
        ('registrations', '0006_facts'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='queueentry',
            index=models.Index(
                condition=models.Q(('group__isnull', False), ('state', 'WAITING')),
                fields=['division', 'group', '-priority', 'place'],
                name='queueentry_line_of_group',
            ),
        ),
    ]
