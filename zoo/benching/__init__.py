"""What fusing costs on this machine, by network, backend and precision."""
