"""How Django itself writes days and times, as the admin's lists do: a time carries its zone."""

DATE_FORMAT = "j M Y"
DATETIME_FORMAT = "j M Y, H:i T"
