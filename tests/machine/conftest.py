"""The simulator as payment tests have it."""

from tests.payments.conftest import simulator_port, till

__all__ = ["simulator_port", "till"]
