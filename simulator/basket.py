"""What a session sells: its line items and their sum."""

from simulator import shapes
from simulator.context import Context
from simulator.errors import ApiError, invalid, refused
from simulator.params import Params
from simulator.store import Json, new_id

SMALLEST = {"usd": 50, "eur": 50, "gbp": 30, "chf": 50, "jpy": 50}


def line_items(context: Context, params: Params) -> list[Json]:
    lines = params.children("line_items")
    if not lines:
        message = "You must provide at least one line item in `payment` mode."
        raise invalid(message, param="line_items", code="parameter_missing")
    items = [_line_item(context, line) for line in lines]
    if len({item["currency"] for item in items}) > 1:
        raise invalid("All line items must have the same currency.", param="line_items")
    return items


def _line_item(context: Context, line: Params) -> Json:
    line.allow("price", "price_data", "quantity", "metadata")
    if line.text("price"):
        raise ApiError(404, f"No such price: '{line.text('price')}'", code="resource_missing", param=line.name("price"))
    data = line.child("price_data")
    data.allow("currency", "unit_amount", "product", "product_data", "tax_behavior")
    product = data.child("product_data")
    product.allow("name", "description", "images", "metadata", "tax_code")
    name, amount = product.need_text("name"), data.need_integer("unit_amount")
    currency, quantity = data.need_text("currency").lower(), line.integer("quantity", minimum=1) or 1
    price = shapes.new(
        shapes.PRICE,
        id=new_id("price_1"),
        created=context.now(),
        currency=currency,
        product=new_id("prod_", 14),
        unit_amount=amount,
        unit_amount_decimal=str(amount),
    )
    return shapes.new(
        shapes.LINE_ITEM,
        id=new_id("li_1"),
        amount_subtotal=amount * quantity,
        amount_total=amount * quantity,
        currency=currency,
        description=name,
        price=price,
        quantity=quantity,
        _about=product.text("description"),
    )


def refuse_too_little(total: int, currency: str) -> None:
    least = SMALLEST.get(currency, 1)
    if total < least:
        message = f"The Checkout Session's total amount due must add up to at least {least / 100:.2f} {currency}."
        raise refused(message, code="amount_too_small")
