"""Customers and the account itself."""

from typing import Any

from simulator import listing, methods, shapes
from simulator.context import PLATFORM, Context
from simulator.errors import invalid, missing
from simulator.params import Params, merged
from simulator.store import Json, new_id

WRITABLE = ("address", "description", "email", "metadata", "name", "phone", "preferred_locales")


def _written(params: Params) -> Json:
    """The given fields; an empty value unsets."""
    params.allow(*WRITABLE)
    fields: Json = {
        name: params.text(name) for name in ("description", "email", "name", "phone") if name in params.values
    }
    email = fields.get("email")
    if email and "@" not in email:
        raise invalid(f"Invalid email address: {email}", param="email", code="email_invalid")
    if "address" in params.values:
        fields["address"] = shapes.new(shapes.ADDRESS, **params.child("address").values)
    if "preferred_locales" in params.values:
        fields["preferred_locales"] = params.texts("preferred_locales")
    return fields


def add(context: Context, **fields: Any) -> Json:
    customer = shapes.new(shapes.CUSTOMER, id=new_id("cus_", 14), created=context.now(), metadata={})
    customer |= {"invoice_prefix": new_id("", 8).upper()} | fields
    context.add(customer)
    context.emit("customer.created", customer)
    return customer


def create(context: Context, params: Params) -> Json:
    fields = _written(params)
    return add(context, **fields, metadata=params.metadata())


def retrieve(context: Context, _params: Params, customer_id: str) -> Json:
    return context.get("customer", customer_id)


def update(context: Context, params: Params, customer_id: str) -> Json:
    fields, metadata = _written(params), params.metadata()
    customer = context.get("customer", customer_id) | fields
    customer["metadata"] = merged(customer["metadata"], metadata)
    context.save(customer)
    context.emit("customer.updated", customer)
    return customer


def delete(context: Context, _params: Params, customer_id: str) -> Json:
    customer = context.get("customer", customer_id)
    context.emit("customer.deleted", customer)
    context.store.remove(customer_id)
    methods.detach_all(context, customer_id)
    return {"id": customer_id, "object": "customer", "deleted": True}


def list_all(context: Context, params: Params) -> Json:
    params.allow("email", "created", *listing.PAGING)
    where = listing.filters(params, "email") | listing.created(params)
    return listing.page(context, params, "/v1/customers", "customer", where)


def details(*, email: str | None, name: str | None = None) -> Json:
    """What a checkout session shows of its customer."""
    return {
        "address": shapes.new(shapes.ADDRESS),
        "business_name": None,
        "email": email,
        "individual_name": None,
        "name": name,
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [],
    }


def own_account(context: Context, params: Params) -> Json:
    return account(context, params, context.account or PLATFORM)


def account(context: Context, _params: Params, account_id: str) -> Json:
    """The platform's account, or a connected one: any id that looks like one is connected."""
    if not account_id.startswith("acct_"):
        raise missing("account", account_id, param="account")
    born = context.store.setting("born", 0)
    external = shapes.a_list(f"/v1/accounts/{account_id}/external_accounts")
    return shapes.new(shapes.ACCOUNT, id=account_id, created=born, external_accounts=external)
