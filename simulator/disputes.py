"""Disputes: the cardholder's bank takes the money back, or (an inquiry) asks first.

inquiry:    warning_needs_response -> warning_under_review -> warning_closed, or escalated to
chargeback: needs_response -> under_review -> won | lost
"""

from simulator import balance, listing, radar, shapes
from simulator.context import Context
from simulator.errors import refused
from simulator.params import Params, merged
from simulator.settings import EVIDENCE_WITHIN, INQUIRY_LASTS
from simulator.store import Json, new_id, public

INQUIRY_OPEN = ("warning_needs_response", "warning_under_review")
CHARGEBACK_OPEN = ("needs_response", "under_review")
MONEY_GONE = (*CHARGEBACK_OPEN, "lost")
CLOSED = ("won", "lost", "warning_closed", "prevented")
AWAITING = ("needs_response", "warning_needs_response")
NETWORK_CODES = {
    "fraudulent": "10.4",
    "product_not_received": "13.1",
    "duplicate": "12.6",
    "credit_not_processed": "13.6",
}

# What the text of the evidence decides, as Stripe documents it for tests.
DECISIVE = {"winning_evidence": "won", "losing_evidence": "lost", "escalate_inquiry_evidence": "needs_response"}


def begin(context: Context, charge: Json, *, reason: str, inquiry: bool, amount: int | None = None) -> Json:
    """Dispute what is left of a captured charge, or `amount` of it."""
    left = charge["amount"] - charge["amount_refunded"] if charge["captured"] else 0
    disputed = left if amount is None else amount
    if not 0 < disputed <= left or _is_disputed(context, charge, (*INQUIRY_OPEN, *MONEY_GONE)):
        raise ValueError(f"{charge['id']} has no {disputed} to dispute, or is disputed already")
    dispute = shapes.new(
        shapes.DISPUTE,
        id=new_id("du_1"),
        amount=disputed,
        charge=charge["id"],
        created=context.now(),
        currency=charge["currency"],
        evidence_details=_details(context.now() + EVIDENCE_WITHIN),
        is_charge_refundable=inquiry,
        payment_intent=charge["payment_intent"],
        payment_method_details={"card": _card(charge, reason, inquiry=inquiry), "type": "card"},
        reason=reason,
        status="warning_needs_response" if inquiry else "needs_response",
        _due_at=context.now() + (INQUIRY_LASTS if inquiry else EVIDENCE_WITHIN),
    )
    context.add(dispute)
    context.save(charge | {"disputed": True})
    context.emit("charge.dispute.created", dispute)
    if not inquiry:
        _withdraw(context, dispute)
    radar.settle_warnings(context, charge | {"disputed": True})
    return dispute


def _details(due_by: int) -> Json:
    return {
        "due_by": due_by,
        "enhanced_eligibility": {},
        "has_evidence": False,
        "past_due": False,
        "submission_count": 0,
    }


def _card(charge: Json, reason: str, *, inquiry: bool) -> Json:
    brand = charge["payment_method_details"]["card"]["brand"]
    case = "inquiry" if inquiry else "chargeback"
    return {"brand": brand, "case_type": case, "network": brand, "network_reason_code": NETWORK_CODES.get(reason)}


def _withdraw(context: Context, dispute: Json) -> None:
    dispute["balance_transactions"].append(public(balance.book_dispute(context, dispute)))
    context.save(dispute)
    context.emit("charge.dispute.funds_withdrawn", dispute)


def move(context: Context, dispute: Json, status: str) -> Json:
    """The bank decides, or the seller gives in. Money moves when a chargeback begins, and when it is won."""
    was, now = dispute["status"], status
    if not _can_follow(was, now):
        raise ValueError(f"a dispute that is {was} can't become {now}")
    dispute |= {"status": now}
    if now in CLOSED:
        dispute["_due_at"] = None
    context.save(dispute)
    if now == "needs_response":
        _escalate(context, dispute)
    elif now in {"won", "prevented"} and was in CHARGEBACK_OPEN:
        _reinstate(context, dispute)
    else:
        context.emit("charge.dispute.closed" if now in CLOSED else "charge.dispute.updated", dispute)
    return dispute


def _can_follow(was: str, now: str) -> bool:
    if was in INQUIRY_OPEN:
        return now in {"warning_under_review", "warning_closed", "needs_response", "prevented"} and now != was
    return was in CHARGEBACK_OPEN and now in {"under_review", "won", "lost", "prevented"} and now != was


def _escalate(context: Context, dispute: Json) -> None:
    """An inquiry becomes a chargeback, over what was not given back meanwhile."""
    charge = context.get("charge", dispute["charge"])
    due_by = context.now() + EVIDENCE_WITHIN
    dispute |= {"amount": min(dispute["amount"], charge["amount"] - charge["amount_refunded"])}
    dispute |= {"is_charge_refundable": False, "evidence_details": _details(due_by), "_due_at": due_by}
    dispute["payment_method_details"]["card"]["case_type"] = "chargeback"
    context.save(dispute)
    context.emit("charge.dispute.updated", dispute)
    _withdraw(context, dispute)


def _reinstate(context: Context, dispute: Json) -> None:
    dispute["balance_transactions"].append(public(balance.book_reinstatement(context, dispute)))
    dispute["is_charge_refundable"] = True
    context.save(dispute)
    context.emit("charge.dispute.closed", dispute)
    context.emit("charge.dispute.funds_reinstated", dispute)


def run_out(context: Context, dispute: Json) -> None:
    """Nobody answered in time: a chargeback is lost, an inquiry forgotten. What is under review the bank decides."""
    if dispute["status"] == "under_review":
        context.save(dispute | {"_due_at": None})
        return
    dispute["evidence_details"]["past_due"] = True
    move(context, dispute, "lost" if dispute["status"] == "needs_response" else "warning_closed")


def forbid_refund(context: Context, charge: Json) -> bool:
    """Whether the money went, or may go, back by a chargeback: then it can't be refunded too."""
    return _is_disputed(context, charge, MONEY_GONE)


def _is_disputed(context: Context, charge: Json, statuses: tuple[str, ...]) -> bool:
    asked = {"charge": charge["id"], "status in": statuses}
    return bool(charge["disputed"] and context.store.select("dispute", asked))


def end_inquiries(context: Context, charge: Json) -> None:
    """A full refund answers every question."""
    for dispute in context.store.select("dispute", {"charge": charge["id"], "status in": INQUIRY_OPEN}):
        move(context, dispute, "warning_closed")


def retrieve(context: Context, _params: Params, dispute_id: str) -> Json:
    return context.get("dispute", dispute_id, param="dispute")


def list_all(context: Context, params: Params) -> Json:
    params.allow("charge", "payment_intent", "created", *listing.PAGING)
    where = listing.filters(params, "charge", "payment_intent") | listing.created(params)
    return listing.page(context, params, "/v1/disputes", "dispute", where)


def close(context: Context, params: Params, dispute_id: str) -> Json:
    """Give in: a chargeback is lost for good, an inquiry is over."""
    params.allow()
    dispute = retrieve(context, params, dispute_id)
    if dispute["status"] in CLOSED:
        raise refused("This dispute is already closed.")
    return move(context, dispute, "lost" if dispute["status"] in CHARGEBACK_OPEN else "warning_closed")


def update(context: Context, params: Params, dispute_id: str) -> Json:
    """Take evidence, and hand it in unless `submit=false`; a text that Stripe documents decides at once."""
    params.allow("evidence", "metadata", "submit")
    metadata, given = params.metadata(), params.child("evidence")
    given.allow(*(name for name in shapes.EVIDENCE if name != "enhanced_evidence"))
    evidence = {name: given.text(name) for name in given.values}
    submit = params.text("submit") is None or params.flag("submit")
    dispute = retrieve(context, params, dispute_id)
    dispute["metadata"] = merged(dispute["metadata"], metadata)
    if evidence and dispute["status"] not in AWAITING:
        raise refused("This dispute takes no evidence any more.", param="evidence")
    dispute["evidence"] |= evidence
    dispute["evidence_details"]["has_evidence"] = any(dispute["evidence"].values())
    context.save(dispute)
    if evidence and submit:
        return _submit(context, dispute)
    context.emit("charge.dispute.updated", dispute)
    return dispute


def _submit(context: Context, dispute: Json) -> Json:
    inquiry = dispute["status"] in INQUIRY_OPEN
    dispute["evidence_details"]["submission_count"] += 1
    decision = DECISIVE.get(dispute["evidence"]["uncategorized_text"] or "")
    move(context, dispute, "warning_under_review" if inquiry else "under_review")
    if decision in {"won", "lost"} and inquiry:
        decision = "warning_closed"
    if decision and _can_follow(dispute["status"], decision):
        move(context, dispute, decision)
    return dispute
