"""LightGCN in MMRec's interface, with the squared norm of the ego embeddings."""

import numpy as np
import scipy.sparse as sp
import torch
from common.abstract_recommender import GeneralRecommender
from common.loss import BPRLoss, L2Loss
from torch import nn


class LightGCN(GeneralRecommender):
    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        self.n_layers, self.reg_weight = config["n_layers"], config["reg_weight"]
        n_nodes = self.n_users + self.n_items
        self.ego = nn.Parameter(nn.init.xavier_uniform_(torch.empty(n_nodes, config["embedding_size"])))
        self.adjacency = self.normalised(dataset.inter_matrix(form="coo").astype(np.float32)).to(self.device)
        self.bpr, self.l2 = BPRLoss(), L2Loss()

    def normalised(self, interactions):
        n_nodes = self.n_users + self.n_items
        # As older model files fill it.
        entries = dict.fromkeys(zip(interactions.row, interactions.col + self.n_users, strict=True), 1)
        entries.update({(item, user): 1 for user, item in entries})
        adjacency = sp.dok_matrix((n_nodes, n_nodes), dtype=np.float32)
        adjacency._update(entries)
        degrees = np.array((adjacency > 0).sum(axis=1)).flatten() + 1e-7
        scale = sp.diags(np.power(degrees, -0.5))
        full = sp.coo_matrix(scale * adjacency * scale)
        places = torch.LongTensor(np.array([full.row, full.col]))
        return torch.sparse_coo_tensor(places, torch.FloatTensor(full.data), (n_nodes, n_nodes), check_invariants=False)

    def forward(self):
        layers = [self.ego]
        for _ in range(self.n_layers):
            layers.append(torch.sparse.mm(self.adjacency, layers[-1]))
        return torch.stack(layers, 1).mean(1).split([self.n_users, self.n_items])

    def calculate_loss(self, interaction):
        users, items = self.forward()
        interaction[1:] += self.n_users  # in place, as some model files do
        ego = self.ego[interaction.flatten()]
        positive, negative = items[interaction[1] - self.n_users], items[interaction[2] - self.n_users]
        user = users[interaction[0]]
        ranking = self.bpr((user * positive).sum(1), (user * negative).sum(1))
        return ranking + self.reg_weight * self.l2(ego) / interaction.shape[1]

    def full_sort_predict(self, interaction):
        users, items = self.forward()
        return users[interaction[0]] @ items.T
