"""Why a draw says no."""

from django.utils.translation import gettext_lazy as _

from vgchub.errors import RefusedError


class DrawNotFoundError(RefusedError):
    code = "draw_not_found"
    status = 404
    message = _("There is no such draw.")
    remedy = _("Open it from its tournament's page.")


class NotDueError(RefusedError):
    code = "draw_not_due"
    message = _("The entries can't be sealed now.")
    remedy = _("A lottery is sealed once registration has closed, a fair start once it has opened, and each only once.")


class NotSealedError(RefusedError):
    code = "draw_not_sealed"
    message = _("Only a draw whose entries are sealed can be declared void, and only once.")
    remedy = _("Until entries are sealed they can still be corrected.")


class AlreadyOfferedError(RefusedError):
    code = "draw_already_offered"
    message = _("Seats have been offered by this draw, so it stands.")
    remedy = _("To make good what went wrong, grant seats by hand, each with its reason.")


class NotOfStaffError(RefusedError):
    code = "not_of_staff"
    status = 403
    message = _("Only staff may declare a draw void.")
    remedy = _("Ask two members of staff.")


class NothingProposedError(RefusedError):
    code = "nothing_proposed"
    message = _("Nobody has proposed to declare this draw void.")
    remedy = _("Propose it with the reason; a second member of staff confirms it.")


class NeedsAnotherPersonError(RefusedError):
    code = "needs_another_person"
    message = _("You proposed this yourself.")
    remedy = _("Another member of staff has to confirm it.")
