"""Payment: what is on record of it, the plan that follows from that, and the local stand-in for Stripe."""
