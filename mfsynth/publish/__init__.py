"""A finished data set to the Hugging Face Hub: what its licenses allow, what goes along, the push."""
