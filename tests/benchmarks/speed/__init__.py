"""The studio's speed, memory and loss beside its peers', on this machine, in one run."""
