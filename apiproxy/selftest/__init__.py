"""The self-test: every dialect's cases, driven through the edge of this process against the models of the sandbox.

`cases` says what is asked and what the answer must be, whatever the dialect; `clients` holds one module a dialect, which
writes the question and reads the answer as a strict client would. A new dialect is a module there and a line in
`CLIENTS`. No credential is used, nothing is charged and no key is left behind.
"""
