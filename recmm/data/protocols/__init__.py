"""Protocols of evaluation: other splits of whatever catalogue comes."""

from recmm.data.protocols.base import AllPairs, SplitProtocol
from recmm.data.protocols.cold_start import ItemColdStart
from recmm.data.protocols.random_per_user import RandomPerUser
from recmm.data.protocols.temporal import GlobalTemporal, TemporalLeaveOneOut

__all__ = ["AllPairs", "GlobalTemporal", "ItemColdStart", "RandomPerUser", "SplitProtocol", "TemporalLeaveOneOut"]
