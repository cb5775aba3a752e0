"""Any `nn.Module` in a form that trains many members as one program, by `torch.func`."""
