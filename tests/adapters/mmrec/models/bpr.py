"""MF-BPR in MMRec's interface."""

import torch
from common.abstract_recommender import GeneralRecommender
from common.loss import BPRLoss, EmbLoss
from torch import nn


class BPR(GeneralRecommender):
    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        dim = config["embedding_size"]
        self.reg_weight = config["reg_weight"]
        self.users = nn.Parameter(nn.init.xavier_normal_(torch.empty(self.n_users, dim)))
        self.items = nn.Parameter(nn.init.xavier_normal_(torch.empty(self.n_items, dim)))
        self.bpr, self.emb = BPRLoss(), EmbLoss()

    def calculate_loss(self, interaction):
        user, positive, negative = self.users[interaction[0]], self.items[interaction[1]], self.items[interaction[2]]
        ranking = self.bpr((user * positive).sum(1), (user * negative).sum(1))
        return ranking, self.reg_weight * self.emb(user, positive, negative)

    def full_sort_predict(self, interaction):
        user, _ = interaction
        return self.users[user] @ self.items.T
