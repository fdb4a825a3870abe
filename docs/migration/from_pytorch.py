"""PyTorch beside jnn: W has the same shape, (n_l, n_(l-1))."""

import torch
from task import BATCH, EPOCHS, RATE, X, Y, agree, start
from torch import nn

import jnn

# ---- PyTorch ----

model = nn.Sequential(
    nn.Linear(1, 16),
    nn.Tanh(),
    nn.Linear(16, 16),
    nn.Tanh(),
    nn.Linear(16, 1),
)
with torch.no_grad():
    for layer, (w, b) in zip(model[::2], start(), strict=True):
        layer.weight.copy_(torch.from_numpy(w))
        layer.bias.copy_(torch.from_numpy(b))
x, y = torch.from_numpy(X), torch.from_numpy(Y)
optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
for _ in range(EPOCHS):
    for x_batch, y_batch in zip(x.split(BATCH), y.split(BATCH), strict=True):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x_batch), y_batch).backward()
        optimizer.step()

# ---- jnn ----

params = jnn.from_layers(start())
result = jnn.fit(
    params,
    (X, Y),
    loss="mse",
    optimizer="adam",
    learning_rate=RATE,
    epochs=EPOCHS,
    batch_size=BATCH,
    shuffle=False,
    progress=False,
)

agree(model(x).detach().numpy(), jnn.predict(result.params, X))
