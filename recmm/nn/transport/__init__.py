"""Entropic optimal transport between the items of two modalities (CI2MG, section 3.2.1, Eq. 6-8)."""

from recmm.nn.transport.plans import Plan, plan_from_state
from recmm.nn.transport.settings import TransportSettings
from recmm.nn.transport.solve import solve, spread

__all__ = ["Plan", "TransportSettings", "plan_from_state", "solve", "spread"]
