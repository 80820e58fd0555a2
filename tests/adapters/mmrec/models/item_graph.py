"""FREEDOM without denoising and without the ranking by features, on the nearest neighbours of ``v_feat``.

Its graph is kept on disk, and it scores from what its last batch left, as model files do.
"""

import os

import numpy as np
import torch
from common.abstract_recommender import GeneralRecommender
from common.loss import BPRLoss
from torch import nn
from utils.utils import build_knn_neighbourhood, build_sim


class ItemGraph(GeneralRecommender):
    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        self.n_layers, self.knn_k = config["n_layers"], config["knn_k"]
        n_nodes, dim = self.n_users + self.n_items, config["embedding_size"]
        self.ego = nn.Parameter(nn.init.xavier_uniform_(torch.empty(n_nodes, dim)))
        self.image_embedding = nn.Embedding.from_pretrained(self.v_feat, freeze=True)
        kept = os.path.join(os.path.abspath(config["data_path"] + config["dataset"]), f"image_adj_{self.knn_k}.pt")
        if not os.path.exists(kept):
            near = build_knn_neighbourhood(build_sim(self.image_embedding.weight.detach()), topk=self.knn_k)
            torch.save((near > 0).float() / self.knn_k, kept)
        self.image_adj = torch.load(kept)
        self.adjacency = self.normalised(dataset.inter_matrix(form="csr").astype(np.float32)).cuda()
        self.result = nn.Parameter(nn.init.xavier_normal_(torch.empty(n_nodes, dim))).to(self.device)
        self.bpr = BPRLoss()

    def normalised(self, interactions):
        r = torch.from_numpy(interactions.toarray())
        a = torch.zeros(self.n_users + self.n_items, self.n_users + self.n_items)
        a[: self.n_users, self.n_users :], a[self.n_users :, : self.n_users] = r, r.T
        scale = a.sum(1).clamp_min(1e-9).rsqrt()
        return scale[:, None] * a * scale

    def forward(self):
        layers = [self.ego]
        for _ in range(self.n_layers):
            layers.append(self.adjacency @ layers[-1])
        side = self.image_adj @ self.ego[self.n_users :]
        users, items = torch.stack(layers).mean(0).split([self.n_users, self.n_items])
        self.result = torch.cat([users, items + side])
        return self.result

    def calculate_loss(self, interaction):
        nodes = self.forward()
        user, positive = nodes[interaction[0]], nodes[interaction[1] + self.n_users]
        negative = nodes[interaction[2] + self.n_users]
        return self.bpr((user * positive).sum(1), (user * negative).sum(1))

    def full_sort_predict(self, interaction):
        users, items = self.result.split([self.n_users, self.n_items])
        return users[interaction[0]] @ items.T
