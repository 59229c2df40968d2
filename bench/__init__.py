"""fiftyx: is it really 50x on a GPU? One training loop, measured under every style and device."""
