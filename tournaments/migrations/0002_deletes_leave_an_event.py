import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('tournaments', '0001_initial'),
    ]

    operations = [
        pgtrigger.migrations.AddTrigger(
            model_name='division',
            trigger=pgtrigger.compiler.Trigger(name='delete_delete', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "tournaments_divisionevent" ("born_from", "born_to", "code", "id", "name", "pgh_context", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "tournament_id") VALUES (OLD."born_from", OLD."born_to", OLD."code", OLD."id", OLD."name", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_id\', TRUE), \'\'), NULL)::UUID, NOW(), \'delete\', OLD."id", OLD."tournament_id"); RETURN NULL;', hash='cc4fad18a9977e0674013f976000048c72b0497c', operation='DELETE', pgid='pgtrigger_delete_delete_ec4bc', table='tournaments_division', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='prioritygroup',
            trigger=pgtrigger.compiler.Trigger(name='delete_delete', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "tournaments_prioritygroupevent" ("countries", "division_codes", "id", "max_best_placement", "min_championship_points", "min_seasons_played", "name", "opens_early_minutes", "pgh_context", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "priority", "tickets", "tournament_id") VALUES (OLD."countries", OLD."division_codes", OLD."id", OLD."max_best_placement", OLD."min_championship_points", OLD."min_seasons_played", OLD."name", OLD."opens_early_minutes", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_id\', TRUE), \'\'), NULL)::UUID, NOW(), \'delete\', OLD."id", OLD."priority", OLD."tickets", OLD."tournament_id"); RETURN NULL;', hash='5defd8e5c7fc0737199866f620dd9122bae8c48a', operation='DELETE', pgid='pgtrigger_delete_delete_57c4a', table='tournaments_prioritygroup', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='seat',
            trigger=pgtrigger.compiler.Trigger(name='delete_delete', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "tournaments_seatevent" ("division_id", "id", "number", "pgh_context", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "reserved_for_id") VALUES (OLD."division_id", OLD."id", OLD."number", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_id\', TRUE), \'\'), NULL)::UUID, NOW(), \'delete\', OLD."id", OLD."reserved_for_id"); RETURN NULL;', hash='f5eaa25d9355ccf654aff9fc20f95f86f4fc4402', operation='DELETE', pgid='pgtrigger_delete_delete_b9d6a', table='tournaments_seat', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='tournament',
            trigger=pgtrigger.compiler.Trigger(name='delete_delete', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "tournaments_tournamentevent" ("cancelled_at", "city", "closed_at", "closes_at", "country", "currency", "description", "drawn_at", "emergency_contact", "ends_at", "entries_sealed_at", "fee_minor", "format", "game", "id", "late_offer_hours", "max_waiting", "message", "mode", "name", "offer_batch", "offer_minutes", "offers_end_at", "offers_per_minute", "opens_at", "organization_id", "paused_at", "payment_minutes", "pgh_context", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "prequeue_opens_at", "published_at", "refund_kept_percent", "refund_until", "rush_minutes", "seals_at", "slug", "starts_at", "time_zone", "venue") VALUES (OLD."cancelled_at", OLD."city", OLD."closed_at", OLD."closes_at", OLD."country", OLD."currency", OLD."description", OLD."drawn_at", OLD."emergency_contact", OLD."ends_at", OLD."entries_sealed_at", OLD."fee_minor", OLD."format", OLD."game", OLD."id", OLD."late_offer_hours", OLD."max_waiting", OLD."message", OLD."mode", OLD."name", OLD."offer_batch", OLD."offer_minutes", OLD."offers_end_at", OLD."offers_per_minute", OLD."opens_at", OLD."organization_id", OLD."paused_at", OLD."payment_minutes", COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_metadata\', TRUE), \'\'), NULL)::JSONB, COALESCE(NULLIF(CURRENT_SETTING(\'pghistory.context_id\', TRUE), \'\'), NULL)::UUID, NOW(), \'delete\', OLD."id", OLD."prequeue_opens_at", OLD."published_at", OLD."refund_kept_percent", OLD."refund_until", OLD."rush_minutes", OLD."seals_at", OLD."slug", OLD."starts_at", OLD."time_zone", OLD."venue"); RETURN NULL;', hash='203b91c5813c75fd81bd9fdb9fd74e3f9afef741', operation='DELETE', pgid='pgtrigger_delete_delete_839dc', table='tournaments_tournament', when='AFTER')),
        ),
    ]
