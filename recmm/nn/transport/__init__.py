"""Entropic optimal transport between the items of two modalities (CI2MG, section 3.3; methods.md 5.2 C10-C15)."""

from recmm.nn.transport.attached import attached
from recmm.nn.transport.plans import Plan, plan_from_state
from recmm.nn.transport.settings import TransportSettings
from recmm.nn.transport.solve import solve, spread

__all__ = ["Plan", "TransportSettings", "attached", "plan_from_state", "solve", "spread"]
