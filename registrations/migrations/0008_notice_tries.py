"""How often a mail could not be made. Columns with a default, and an index that is built while the site runs."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('registrations', '0007_line_of_group'),
    ]

    operations = [
        migrations.AddField(
            model_name='notice',
            name='attempts',
            field=models.PositiveSmallIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='notice',
            name='problem',
            field=models.TextField(blank=True, db_default=''),
        ),
        AddIndexConcurrently(
            model_name='notice',
            index=models.Index(condition=models.Q(('attempts__gt', 0), ('mailed_at', None)), fields=['id'], name='notice_tried'),
        ),
    ]
