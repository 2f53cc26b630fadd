"""Payment: which plan the records of Stripe and of the operator give. Pure."""
