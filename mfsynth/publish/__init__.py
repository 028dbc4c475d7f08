"""A finished data set to the Hugging Face Hub: what its licences allow, what goes along, the push."""
