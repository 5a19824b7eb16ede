"""Tokens shared by processes: sealed with the credential, held beside the request budgets, minted once."""
