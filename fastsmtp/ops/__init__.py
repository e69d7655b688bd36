"""What operators look at and steer: RPC methods, metrics, health, logs."""
