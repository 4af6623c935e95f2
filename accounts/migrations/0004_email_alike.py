"""Look-alike addresses are found by an index, which is built while the site runs."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('accounts', '0003_lean_history'),
        ('auth', '0012_alter_user_first_name_max_length'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='user',
            index=models.Index(models.Func('email', template="(regexp_replace(split_part(split_part(lower(%(expressions)s), '@', 1), '+', 1), '[.0-9]', '', 'g') || '@' || split_part(lower(%(expressions)s), '@', 2))"), name='user_email_alike'),
        ),
    ]
