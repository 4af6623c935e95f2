"""The books: one balance transaction for everything that moves money, with its fee and what is left of it."""

from simulator import listing, shapes
from simulator.context import Context
from simulator.params import Params
from simulator.settings import DAY
from simulator.store import Json, new_id

DISPUTE_FEE = 1500


def retrieve(context: Context, _params: Params, transaction_id: str) -> Json:
    return context.get("balance_transaction", transaction_id)


def list_all(context: Context, params: Params) -> Json:
    params.allow("source", "type", "currency", "created", *listing.PAGING)
    where = listing.filters(params, "source", "type", "currency") | listing.created(params)
    return listing.page(context, params, "/v1/balance_transactions", "balance_transaction", where)


def fee_of(amount: int) -> int:
    """2.9% and 30, in whole cents."""
    return (amount * 29 + 500) // 1000 + 30


def book_charge(context: Context, charge: Json, amount: int) -> str:
    fee = fee_of(amount)
    return str(_book(context, charge, amount, kind="charge", fee=fee, fee_for="Stripe processing fees")["id"])


def book_refund(context: Context, refund: Json) -> str:
    return str(_book(context, refund, -refund["amount"], kind="refund")["id"])


def book_refund_failure(context: Context, refund: Json) -> str:
    return str(_book(context, refund, refund["amount"], kind="refund_failure")["id"])


def book_dispute(context: Context, dispute: Json) -> Json:
    """The disputed money leaves, and the fee with it."""
    made = _book(context, dispute, -dispute["amount"], kind="adjustment", fee=DISPUTE_FEE, fee_for="Dispute fee")
    return context.save(made | {"reporting_category": "dispute", "description": f"Chargeback for {dispute['charge']}"})


def book_reinstatement(context: Context, dispute: Json) -> Json:
    """A won dispute brings back the money and the fee."""
    made = _book(context, dispute, dispute["amount"], kind="adjustment", fee=-DISPUTE_FEE, fee_for="Dispute fee")
    words = f"Chargeback reversal for {dispute['charge']}"
    return context.save(made | {"reporting_category": "dispute_reversal", "description": words})


def _book(context: Context, source: Json, amount: int, *, kind: str, fee: int = 0, fee_for: str = "") -> Json:
    detail = {
        "amount": fee,
        "application": None,
        "currency": source["currency"],
        "description": fee_for,
        "type": "stripe_fee",
    }
    transaction = shapes.new(
        shapes.BALANCE_TRANSACTION,
        id=new_id("txn_3", 23),
        amount=amount,
        available_on=context.now() + 2 * DAY,
        created=context.now(),
        currency=source["currency"],
        description=source.get("description"),
        fee=fee,
        fee_details=[detail] if fee else [],
        net=amount - fee,
        reporting_category=kind,
        source=source["id"],
        type=kind,
    )
    return context.add(transaction)
