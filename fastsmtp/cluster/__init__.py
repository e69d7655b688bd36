"""Many machines: mails are confirmed by NATS JetStream, and workers take them from there."""
