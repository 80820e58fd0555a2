"""A plan through whose solution gradients flow."""

import torch
from torch import Tensor

from recmm.nn.transport.atoms import separate
from recmm.nn.transport.plans import DensePlan, Plan

UNROLLED = 10


def attached(plan: Plan, source: Tensor, target: Tensor) -> Plan:
    """The same plan, N x N, as a function of both clouds [N, d]: gradients reach them through its solution.

    The last ``UNROLLED`` Sinkhorn iterations from the plan's own potentials are recorded (POT, log domain). At the
    solution this is the truncated series of the implicit derivative. A uniform plan depends on nothing and is returned.
    """
    import ot

    if plan.potentials is None:
        return plan
    x, y = source.double(), target.double()
    x, y = x - x.mean(0), y - y.mean(0)
    cost = x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T
    ones = torch.ones_like(cost[0])
    start = (plan.potentials.f / plan.epsilon, plan.potentials.g / plan.epsilon)
    matrix = ot.bregman.sinkhorn_log(ones, ones, cost, plan.epsilon, UNROLLED, 0, warn=False, warmstart=start)
    return DensePlan(
        separate(x),
        separate(y),
        matrix.float(),
        method=plan.method,
        epsilon=plan.epsilon,
        perplexity=plan.perplexity,
        potentials=plan.potentials,
    )
