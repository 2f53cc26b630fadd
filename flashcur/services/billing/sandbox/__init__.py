"""A local server that speaks Stripe's protocol and moves no money: development and tests go through it."""
